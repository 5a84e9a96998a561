// The queues and tables that are the app's contract, in an account that is there: its own or an existing one.

@description('Name of the account.')
param accountName string

@description('Names of the work queues. Each gets its poison queue beside it.')
param queueNames string[]

@description('Names of queues that the app only sends to: of the news of ends. They need no poison queue.')
param resultsQueueNames string[]

@description('Names of the tables.')
param tableNames string[]

// The host and the app send to poison queues, and redriving and the alerts read them: they are there from the start.
var allQueueNames = concat(queueNames, map(queueNames, name => '${name}-poison'), resultsQueueNames)

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: accountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' = [for name in allQueueNames: {
  parent: queueService
  name: name
}]

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2024-01-01' = [for name in tableNames: {
  parent: tableService
  name: name
}]

@description('Resource ID of the account.')
output accountId string = account.id

@description('Address of its queues.')
output queueServiceUri string = account.properties.primaryEndpoints.queue

@description('Address of its tables.')
output tableServiceUri string = account.properties.primaryEndpoints.table
