// Types that several files share. No decorators inside an object type: the parser that the tests use does not read them.

@export()
@description('What kind of principal an object ID is. A wrong one fails the role assignment.')
type PrincipalKind = 'ServicePrincipal' | 'Group' | 'User'

@export()
@description('Who is given a role: an object ID of Entra ID, and its kind (managed identities are ServicePrincipal).')
type Principal = {
  id: string
  type: PrincipalKind?
}

@export()
@description('A database of ADX, and the names of the tables in it that the app may load again.')
type AdxDatabase = {
  name: string
  tables: array
}

@export()
@description('A storage account whose blobs are loaded; its subscription and resource group (default: these) and containers (default: all).')
type BlobAccount = {
  name: string
  subscriptionId: string?
  resourceGroup: string?
  containers: array?
}

@export()
@description('Instances of one function that are kept running. Name: function:NAME, such as function:poll_operations.')
type AlwaysReady = {
  name: string
  instanceCount: int
}

@export()
@description('A private endpoint to be made: the name of the account, and which of its services: blob, queue or table.')
type PrivateEndpoint = {
  accountName: string
  service: string
}
