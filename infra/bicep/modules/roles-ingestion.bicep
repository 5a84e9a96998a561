// Who may do what with each of the app's queues and tables. Nothing is assigned on the account: it may be somebody else's too.

import { roleIds } from 'role-ids.bicep'
import { Principal } from 'types.bicep'

@description('Name of the account with the queues and tables.')
param accountName string

@description('Object ID of the app\'s identity.')
param principalId string

@description('The queue that upstream jobs send to.')
param operationsQueue string

@description('The queue of retries.')
param retryQueue string

@description('The queue of batches to poll.')
param pollQueue string

@description('Queues that ends are told on.')
param resultsQueueNames string[]

@description('Names of all tables.')
param tableNames string[]

@description('Names of the tables with results, which people may be allowed to read.')
param resultTableNames string[]

@description('Upstream jobs.')
param upstreamPrincipals Principal[]

@description('Consumers of the retry queue.')
param retryConsumers Principal[]

@description('Who takes the news of ends.')
param resultConsumers Principal[]

@description('Who may read the results.')
param resultReaders Principal[]

@description('Who looks into the poison queues.')
param operators Principal[]

var workQueues = [operationsQueue, retryQueue, pollQueue]
var poisonQueues = map(workQueues, name => '${name}-poison')
var allQueues = concat(workQueues, poisonQueues)

// One assignment for each reader and table.
var readings = flatten(map(resultReaders, reader => map(resultTableNames, table => {
  reader: reader
  table: table
})))

// One assignment for each consumer and queue of results.
var takings = flatten(map(resultConsumers, consumer => map(resultsQueueNames, queue => {
  consumer: consumer
  queue: queue
})))

// One assignment for each operator and poison queue.
var watches = flatten(map(operators, operator => map(poisonQueues, queue => {
  operator: operator
  queue: queue
})))

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: accountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource operations 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = {
  parent: queueService
  name: operationsQueue
}

resource retries 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = {
  parent: queueService
  name: retryQueue
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2024-01-01' existing = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = [for name in allQueues: {
  parent: queueService
  name: name
}]

resource resultsQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = [for name in resultsQueueNames: {
  parent: queueService
  name: name
}]

resource takenQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = [for taking in takings: {
  parent: queueService
  name: taking.queue
}]

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2024-01-01' existing = [for name in tableNames: {
  parent: tableService
  name: name
}]

resource resultTables 'Microsoft.Storage/storageAccounts/tableServices/tables@2024-01-01' existing = [for reading in readings: {
  parent: tableService
  name: reading.table
}]

resource watchedQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = [for watch in watches: {
  parent: queueService
  name: watch.queue
}]

// On each queue the triggers take messages, renew their invisibility and delete them, the app sends with a delay, and redriving
// takes from the poison queue and sends back. Reader, Processor and Sender together lack the renewal (messages/write).
resource queueWork 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (name, i) in allQueues: {
  scope: queues[i]
  name: guid(queues[i].id, principalId, roleIds.storageQueueDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageQueueDataContributor)
  }
}]

// The app tells ends on this queue, and takes nothing from it.
resource telling 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (name, i) in resultsQueueNames: {
  scope: resultsQueues[i]
  name: guid(resultsQueues[i].id, principalId, roleIds.storageQueueDataMessageSender)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageQueueDataMessageSender)
  }
}]

// Whoever waits for ends takes the news of them and deletes it.
resource takers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (taking, i) in takings: {
  scope: takenQueues[i]
  name: guid(takenQueues[i].id, taking.consumer.id, roleIds.storageQueueDataMessageProcessor)
  properties: {
    principalId: taking.consumer.id
    principalType: taking.consumer.?type ?? 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageQueueDataMessageProcessor)
  }
}]

// The app reads, writes and prunes the rows of its four tables, and those alone.
resource tableWork 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (name, i) in tableNames: {
  scope: tables[i]
  name: guid(tables[i].id, principalId, roleIds.storageTableDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageTableDataContributor)
  }
}]

// Upstream jobs add messages to this one queue. They can't read it, and the other queues are trusted like the app itself.
resource upstream 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in upstreamPrincipals: {
  scope: operations
  name: guid(operations.id, principal.id, roleIds.storageQueueDataMessageSender)
  properties: {
    principalId: principal.id
    principalType: principal.?type ?? 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageQueueDataMessageSender)
  }
}]

// With RETRY_MODE handoff somebody else takes the retries: takes and deletes them, and sends nothing.
resource consumers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in retryConsumers: {
  scope: retries
  name: guid(retries.id, principal.id, roleIds.storageQueueDataMessageProcessor)
  properties: {
    principalId: principal.id
    principalType: principal.?type ?? 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageQueueDataMessageProcessor)
  }
}]

// Results are read in two tables; OutstandingOperations has the messages with their SAS, so no role is given on it.
resource readers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (reading, i) in readings: {
  scope: resultTables[i]
  name: guid(resultTables[i].id, reading.reader.id, roleIds.storageTableDataReader)
  properties: {
    principalId: reading.reader.id
    principalType: reading.reader.?type ?? 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageTableDataReader)
  }
}]

// Who is on call looks at what nobody could handle, and clears it away: Processor takes one message after the other, but can't clear.
resource watchers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (watch, i) in watches: {
  scope: watchedQueues[i]
  name: guid(watchedQueues[i].id, watch.operator.id, roleIds.storageQueueDataContributor)
  properties: {
    principalId: watch.operator.id
    principalType: watch.operator.?type ?? 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.storageQueueDataContributor)
  }
}]
