// Who may read the blobs that are loaded, on their account, which may be in another resource group.

import { roleIds } from 'role-ids.bicep'

@description('Name of the blobs\' account.')
param accountName string

@description('Containers with the blobs; none: the whole account.')
param containerNames string[]

@description('Object IDs of who reads the blobs: ADX\'s identity, and the app\'s where it makes SAS.')
param readerPrincipalIds string[]

@description('Object IDs of who makes SAS by user delegation.')
param delegatorPrincipalIds string[]

// One assignment for each reader and container.
var readings = flatten(map(readerPrincipalIds, id => map(containerNames, container => {
  id: id
  container: container
})))
var accountReaderIds = empty(containerNames) ? readerPrincipalIds : []

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: accountName
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = [for reading in readings: {
  parent: blobService
  name: reading.container
}]

// A SAS by user delegation opens no more than its maker may read, and ADX's own identity reads by itself: Reader, on the containers named.
resource containerReaders 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (reading, i) in readings: {
  scope: containers[i]
  name: guid(containers[i].id, reading.id, roleIds.storageBlobDataReader)
  properties: {
    principalId: reading.id
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageBlobDataReader)
  }
}]

// The same on the account, only where no containers are named.
resource accountReaders 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for id in accountReaderIds: {
  scope: account
  name: guid(account.id, id, roleIds.storageBlobDataReader)
  properties: {
    principalId: id
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageBlobDataReader)
  }
}]

// A user delegation key is the account's: there is no narrower scope. By itself it opens nothing.
resource delegators 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for id in delegatorPrincipalIds: {
  scope: account
  name: guid(account.id, id, roleIds.storageBlobDelegator)
  properties: {
    principalId: id
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageBlobDelegator)
  }
}]
