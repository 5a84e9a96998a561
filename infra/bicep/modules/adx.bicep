// What the app may do in one database of ADX. Deployed to the cluster's own resource group.

@description('Name of the cluster.')
param clusterName string

@description('Name of the database.')
param databaseName string

@description('Names of the tables that the app may load again. They have to be there.')
param tableNames string[]

@description('Client ID of the app\'s identity.')
param clientId string

@description('Changed, it has the script run again, though nothing else has changed: after a table was dropped and made anew.')
param scriptTag string

// A name may have spaces, dots and hyphens, so it is quoted.
var commands = map(tableNames, table => '.add table [\'${table}\'] ingestors (\'aadapp=${clientId};${tenant().tenantId}\') \'ADX ingestion tracker\'')
// Commands are told apart by one line break: https://learn.microsoft.com/azure/data-explorer/database-script
var scriptContent = join(commands, '\n')

resource cluster 'Microsoft.Kusto/clusters@2024-04-13' existing = {
  name: clusterName
}

resource database 'Microsoft.Kusto/clusters/databases@2024-04-13' existing = {
  parent: cluster
  name: databaseName
}

// ADX takes a table's ingestor only from a principal that may also see the database; and the status of an operation is read as its User.
resource user 'Microsoft.Kusto/clusters/databases/principalAssignments@2024-04-13' = {
  parent: database
  name: guid(database.id, clientId, 'User')
  properties: {
    principalId: clientId
    principalType: 'App'
    role: 'User'
    tenantId: tenant().tenantId
  }
}

// Resource Manager has no scope of a table, so a script does it. As a role on the database, Ingestor would be for all its tables.
resource ingestors 'Microsoft.Kusto/clusters/databases/scripts@2024-04-13' = if (!empty(tableNames)) {
  parent: database
  name: 'tracker-ingestors-${uniqueString(clientId)}'
  properties: {
    // The type calls every script sensitive; this one has names and IDs, which stand in the deployment's other parts too.
    #disable-next-line use-secure-value-for-secure-inputs
    scriptContent: scriptContent
    // A table that is not there fails the deployment, and doesn't wait for the first resubmission to be refused.
    continueOnErrors: false
    // Runs again when a table or the identity changes, and else not.
    forceUpdateTag: uniqueString(scriptContent, scriptTag)
    // Whoever deploys doesn't stay an admin of the database because of it.
    principalPermissionsAction: 'RemovePermissionOnScriptCompletion'
  }
  dependsOn: [user]
}
