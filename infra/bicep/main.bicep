// The ADX ingestion tracker in one resource group. README.md beside this file has the picture, the resources and the parameters.

targetScope = 'resourceGroup'

import { AdxDatabase, AlwaysReady, BlobAccount, Principal } from 'modules/types.bicep'

// ---- Names and place

@description('Name of the environment. With the resource group it decides the unique part of every name.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('What names say that things are for: 2 to 9 lower-case letters and digits, as a storage account\'s name takes no more.')
@minLength(2)
@maxLength(9)
param workloadName string = 'tracker'

@description('Region, one with Flex Consumption (az functionapp list-flexconsumption-locations); empty: the resource group\'s.')
param location string = ''

@description('Further tags for every resource.')
param extraTags object = {}

// ---- Storage

@description('Redundancy of the app\'s own storage account. Standard_ZRS outlives the loss of a zone, where the region has zones.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('A storage account that is there and gets the queues and tables; empty: the app\'s own account.')
param ingestionStorageAccountName string = ''

@description('Resource group of that account; empty: this one.')
param ingestionStorageResourceGroup string = ''

@description('The queue that upstream jobs send operation IDs to.')
@minLength(3)
@maxLength(56)
param operationsQueue string = 'ingestion-operations'

@description('The queue of blobs to be tried again.')
@minLength(3)
@maxLength(56)
param retryQueue string = 'ingestion-retries'

@description('The queue of batches to poll.')
@minLength(3)
@maxLength(56)
param pollQueue string = 'ingestion-polls'

@description('The queue where the end of each operation is told, 3 to 56 characters; empty: it is told on none.')
@maxLength(56)
param resultsQueue string = ''

@description('Upstream jobs: who may send to the operations queue, and to that alone.')
param upstreamPrincipals Principal[] = []

@description('Consumers of the retry queue, for retryMode handoff.')
param retryConsumers Principal[] = []

@description('Who takes the news of ends from resultsQueue.')
param resultConsumers Principal[] = []

@description('Who may read the tables IngestionOperations and IngestionBlobs.')
param resultReaders Principal[] = []

@description('Who looks into the poison queues, and may clear them, when an alert comes.')
param operators Principal[] = []

// ---- ADX

@description('Ingestion endpoint of the default cluster: https://ingest-CLUSTER.REGION.kusto.windows.net.')
@minLength(1)
param kustoIngestUri string

@description('Further ingestion endpoints that a message may name, comma-separated. Any other is refused.')
param kustoAllowedIngestUris string = ''

@description('Whether many operations are asked for in one management command, and only those that moved one by one.')
param kustoBulkStatus bool = false

@description('Database for messages that name none.')
param kustoDatabase string = ''

@description('Table for messages that name none.')
param kustoTable string = ''

@description('Name of the ADX cluster to give the app its roles in; empty: they are given by hand (docs/deploy.md).')
param adxClusterName string = ''

@description('Resource group of the cluster; empty: this one.')
param adxResourceGroup string = ''

@description('Subscription of the cluster; empty: this one.')
param adxSubscriptionId string = ''

@description('Databases and tables that the app gets roles for; none: kustoDatabase and kustoTable.')
param adxDatabases AdxDatabase[] = []

@description('Any text. Changed, it has the tables\' roles assigned again: after a table was dropped and made anew.')
param adxScriptTag string = ''

@description('Object ID of the cluster\'s own identity, to be given Storage Blob Data Reader on blobAccounts; empty: it isn\'t.')
param adxClusterPrincipalId string = ''

@description('Accounts with the blobs that are loaded, for the roles that reading them needs.')
param blobAccounts BlobAccount[] = []

// ---- Events

@description('Endpoint of an Event Grid topic that ends are published to, https://TOPIC.REGION-1.eventgrid.azure.net/api/events; empty: they are not.')
param eventgridTopicEndpoint string = ''

@description('Name of that topic, for the app\'s role on it; empty: it is given by hand (EventGrid Data Sender).')
param eventgridTopicName string = ''

@description('Resource group of that topic; empty: this one.')
param eventgridTopicResourceGroup string = ''

// ---- Polling (docs/settings.md explains each setting)

@description('NCRONTAB of the poller.')
param pollSchedule string = '*/15 * * * * *'

@description('From registration to the first poll.')
@minValue(0)
@maxValue(86400)
param pollFirstDelaySeconds int = 15

@description('Least interval of an operation\'s polls.')
@minValue(1)
@maxValue(86400)
param pollMinIntervalSeconds int = 20

@description('Longest interval of an operation\'s polls.')
@minValue(1)
@maxValue(86400)
param pollMaxIntervalSeconds int = 300

@description('Status requests in flight in one instance.')
@minValue(1)
@maxValue(256)
param pollConcurrency int = 32

@description('With more operations due than this, the poller hands them out in batches.')
@minValue(0)
@maxValue(100000)
param pollInlineLimit int = 500

@description('Age at which an operation ends TimedOut.')
@minValue(1)
@maxValue(1440)
param trackingTimeoutHours int = 48

@description('How long ADX may not know an operation before it ends NotFound.')
@minValue(0)
@maxValue(1440)
param notFoundGraceMinutes int = 15

// ---- Retrying

@description('Who submits Transient failures again: the app, or with handoff a consumer of the retry queue.')
@allowed(['resubmit', 'handoff'])
param retryMode string = 'resubmit'

@description('Submissions of a blob in all, upstream\'s own included.')
@minValue(1)
@maxValue(100)
param retryMaxAttempts int = 5

@description('Bound of the first delay before a retry.')
@minValue(0)
@maxValue(604799)
param retryBaseDelaySeconds int = 60

@description('Longest delay before a retry.')
@minValue(0)
@maxValue(604799)
param retryMaxDelaySeconds int = 3600

@description('How ADX may read a resubmitted blob whose URL no message brought.')
@allowed(['as-is', 'managed-identity', 'user-delegation-sas'])
param retryBlobAccess string = 'as-is'

@description('Whether a resubmission is made safe to repeat, one blob a request.')
param retryDeduplicate bool = false

@description('Days that results are kept; 0 keeps all.')
@minValue(0)
@maxValue(36500)
param resultsRetentionDays int = 90

// ---- HTTP API (docs/deploy.md: Entra ID in place of keys)

@description('Who may call the HTTP API and see the page: who has a function key, or whom Entra ID lets in.')
@allowed(['keys', 'entra'])
param apiAuth string = 'keys'

@description('Client ID of the app registration that callers get their tokens for; needed with apiAuth entra.')
param apiClientId string = ''

@description('Tenant of that registration; empty: the subscription\'s.')
param apiTenantId string = ''

@description('Object IDs of the people and applications that are let in, 13 at the most; none: whoever Entra ID gives a token.')
@maxLength(13)
param apiAllowedPrincipals string[] = []

@description('Client IDs of the applications whose tokens are taken, beside the page\'s own; none: any application\'s.')
param apiAllowedClients string[] = []

// ---- Telemetry and alerts

@description('Percentage of operations whose steps are traced. Failed steps always are.')
@minValue(0)
@maxValue(100)
param traceSamplingPercent int = 10

@description('With warning, log lines of level info are not sent to Application Insights.')
@allowed(['info', 'warning'])
param logLevel string = 'info'

@description('Resource ID of a Log Analytics workspace that is there; empty: one is made.')
param existingWorkspaceId string = ''

@description('Region of that workspace, where the alert rules have to be; empty: the region of the rest.')
param existingWorkspaceRegion string = ''

@description('Days that a workspace made here keeps its data.')
@minValue(30)
@maxValue(730)
param workspaceRetentionDays int = 30

@description('E-mail addresses that alerts go to, by an action group that is made for them.')
param alertEmailAddresses string[] = []

@description('Resource IDs of action groups that are there, for alerts to go to.')
param existingActionGroupIds string[] = []

@description('Thresholds that differ from the alerts\' own, by name of the alert.')
param alertThresholds object = {}

@description('Address of docs/runbook.md where the people on call read it; alerts link to its sections.')
param runbookUrl string = 'docs/runbook.md'

// ---- Scale

@description('Most instances. Every function scales by itself, so this is a limit on cost and on load on ADX, not a size.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Memory of an instance in MB. 2048 comes with a whole core. 512 has a quarter of one, and costs a quarter while nothing happens: try it when that matters more than slow starts.')
@allowed([512, 2048, 4096])
param instanceMemoryMb int = 2048

@description('Instances that are kept running, by function. None: the first message after a quiet time waits for a start.')
param alwaysReady AlwaysReady[] = []

@description('Whether instances are spread over zones, where the region has them.')
param zoneRedundant bool = false

// ---- Network

@description('Whether storage is reached by private endpoints alone, in a network that is made for it.')
param privateNetworking bool = false

@description('Addresses of that network.')
param networkPrefix string = '10.80.0.0/24'

@description('Addresses of the instances in it, /27 or larger.')
param functionsSubnetPrefix string = '10.80.0.0/26'

@description('Addresses of the private endpoints in it.')
param endpointsSubnetPrefix string = '10.80.0.64/27'

// ---- What follows from the parameters

var region = empty(location) ? resourceGroup().location : location
var token = uniqueString(resourceGroup().id, environmentName, region)
var suffix = '${workloadName}-${token}'
var allTags = union({ 'azd-env-name': environmentName, workload: 'adx-ingestion-tracker' }, extraTags)
var deploymentContainerName = 'deployment'
// 2 + 9 + 13 characters at most, of the 24 that a name may have.
var storageAccountName = 'st${workloadName}${token}'

var hasOwnQueues = empty(ingestionStorageAccountName)
var queueAccountName = hasOwnQueues ? storageAccountName : ingestionStorageAccountName
var queueResourceGroup = hasOwnQueues || empty(ingestionStorageResourceGroup) ? resourceGroup().name : ingestionStorageResourceGroup
var queueAccountId = resourceId(subscription().subscriptionId, queueResourceGroup, 'Microsoft.Storage/storageAccounts', queueAccountName)
var queueNames = [operationsQueue, retryQueue, pollQueue]
var resultsQueueNames = empty(resultsQueue) ? [] : [resultsQueue]
var resultTableNames = ['IngestionOperations', 'IngestionBlobs']
var tableNames = concat(resultTableNames, ['OutstandingOperations', 'IngestionRedrives'])

var defaultTables = empty(kustoTable) ? [] : [kustoTable]
var defaultDatabases = empty(kustoDatabase) ? [] : [{ name: kustoDatabase, tables: defaultTables }]
var givenDatabases = empty(adxDatabases) ? defaultDatabases : adxDatabases
var databases = empty(adxClusterName) ? [] : givenDatabases
var clusterResourceGroup = empty(adxResourceGroup) ? resourceGroup().name : adxResourceGroup
var clusterSubscriptionId = empty(adxSubscriptionId) ? subscription().subscriptionId : adxSubscriptionId

var makesSas = retryBlobAccess == 'user-delegation-sas'
var adxReaderIds = empty(adxClusterPrincipalId) ? [] : [adxClusterPrincipalId]

var requiresLogin = apiAuth == 'entra'

// The host's blobs are in the app's own account; queues and tables in either.
var ownServices = hasOwnQueues ? ['blob', 'queue', 'table'] : ['blob', 'table']
var otherServices = hasOwnQueues ? [] : ['queue', 'table']
var ownEndpoints = map(ownServices, service => { accountName: storageAccountName, service: service })
var otherEndpoints = map(otherServices, service => { accountName: queueAccountName, service: service })

// What shared/settings.py reads, each by the name of its parameter; the rest is in modules/function-app.bicep.
var trackerSettings = {
  KUSTO_INGEST_URI: kustoIngestUri
  KUSTO_ALLOWED_INGEST_URIS: kustoAllowedIngestUris
  KUSTO_BULK_STATUS: kustoBulkStatus ? 'true' : 'false'
  KUSTO_DATABASE: kustoDatabase
  KUSTO_TABLE: kustoTable
  // No parameter: none is for the simulator on a developer's machine.
  KUSTO_AUTH: 'identity'
  OPERATIONS_QUEUE: operationsQueue
  RETRY_QUEUE: retryQueue
  POLL_QUEUE: pollQueue
  RESULTS_QUEUE: resultsQueue
  EVENTGRID_TOPIC_ENDPOINT: eventgridTopicEndpoint
  POLL_SCHEDULE: pollSchedule
  POLL_FIRST_DELAY_SECONDS: string(pollFirstDelaySeconds)
  POLL_MIN_INTERVAL_SECONDS: string(pollMinIntervalSeconds)
  POLL_MAX_INTERVAL_SECONDS: string(pollMaxIntervalSeconds)
  POLL_CONCURRENCY: string(pollConcurrency)
  POLL_INLINE_LIMIT: string(pollInlineLimit)
  TRACKING_TIMEOUT_HOURS: string(trackingTimeoutHours)
  NOT_FOUND_GRACE_MINUTES: string(notFoundGraceMinutes)
  RETRY_MODE: retryMode
  RETRY_MAX_ATTEMPTS: string(retryMaxAttempts)
  RETRY_BASE_DELAY_SECONDS: string(retryBaseDelaySeconds)
  RETRY_MAX_DELAY_SECONDS: string(retryMaxDelaySeconds)
  RETRY_BLOB_ACCESS: retryBlobAccess
  RETRY_DEDUPLICATE: retryDeduplicate ? 'true' : 'false'
  RESULTS_RETENTION_DAYS: string(resultsRetentionDays)
  API_AUTH: apiAuth
  TRACE_SAMPLING_PERCENT: string(traceSamplingPercent)
  LOG_LEVEL: logLevel
}

// ---- Modules

module identity 'modules/identity.bicep' = {
  name: 'identity-${token}'
  params: {
    name: 'id-${suffix}'
    location: region
    tags: allTags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage-${token}'
  params: {
    name: storageAccountName
    location: region
    tags: allTags
    sku: storageSku
    isPrivate: privateNetworking
    deploymentContainerName: deploymentContainerName
  }
}

module queuesAndTables 'modules/queues-and-tables.bicep' = {
  name: 'queues-and-tables-${token}'
  scope: resourceGroup(queueResourceGroup)
  params: {
    accountName: queueAccountName
    queueNames: queueNames
    resultsQueueNames: resultsQueueNames
    tableNames: tableNames
  }
  dependsOn: [storage]
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring-${token}'
  params: {
    workspaceName: 'log-${suffix}'
    existingWorkspaceId: existingWorkspaceId
    retentionDays: workspaceRetentionDays
    componentName: 'appi-${suffix}'
    actionGroupName: 'ag-${suffix}'
    emailAddresses: alertEmailAddresses
    existingActionGroupIds: existingActionGroupIds
    location: region
    tags: allTags
  }
}

module rolesHost 'modules/roles-host.bicep' = {
  name: 'roles-host-${token}'
  params: {
    principalId: identity.outputs.principalId
    storageAccountName: storage.outputs.name
    componentName: monitoring.outputs.componentName
  }
}

module rolesIngestion 'modules/roles-ingestion.bicep' = {
  name: 'roles-ingestion-${token}'
  scope: resourceGroup(queueResourceGroup)
  params: {
    accountName: queueAccountName
    principalId: identity.outputs.principalId
    operationsQueue: operationsQueue
    retryQueue: retryQueue
    pollQueue: pollQueue
    resultsQueueNames: resultsQueueNames
    tableNames: tableNames
    resultTableNames: resultTableNames
    upstreamPrincipals: upstreamPrincipals
    retryConsumers: retryConsumers
    resultConsumers: resultConsumers
    resultReaders: resultReaders
    operators: operators
  }
  // A role on a queue needs the queue.
  dependsOn: [queuesAndTables]
}

module rolesEventGrid 'modules/roles-event-grid.bicep' = if (!empty(eventgridTopicName)) {
  name: 'roles-event-grid-${token}'
  scope: resourceGroup(empty(eventgridTopicResourceGroup) ? resourceGroup().name : eventgridTopicResourceGroup)
  params: {
    topicName: eventgridTopicName
    principalId: identity.outputs.principalId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network-${token}'
  params: {
    name: 'vnet-${suffix}'
    location: region
    tags: allTags
    addressPrefix: networkPrefix
    functionsPrefix: functionsSubnetPrefix
    endpointsPrefix: endpointsSubnetPrefix
    ownAccountId: storage.outputs.id
    ownEndpoints: ownEndpoints
    otherAccountId: queueAccountId
    otherEndpoints: otherEndpoints
  }
}

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app-${token}'
  params: {
    name: 'func-${suffix}'
    planName: 'asp-${suffix}'
    location: region
    tags: allTags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    deploymentContainerName: deploymentContainerName
    componentName: monitoring.outputs.componentName
    queueServiceUri: queuesAndTables.outputs.queueServiceUri
    tableServiceUri: queuesAndTables.outputs.tableServiceUri
    trackerSettings: trackerSettings
    requiresLogin: requiresLogin
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMb: instanceMemoryMb
    alwaysReady: alwaysReady
    zoneRedundant: zoneRedundant
    subnetId: privateNetworking ? network!.outputs.functionsSubnetId : ''
  }
  // The host must not start before it may read its storage: it would give up, and be slow to come back.
  dependsOn: [rolesHost, rolesIngestion]
}

module signIn 'modules/sign-in.bicep' = {
  name: 'sign-in-${token}'
  params: {
    appName: functionApp.outputs.name
    requiresLogin: requiresLogin
    clientId: apiClientId
    tenantId: empty(apiTenantId) ? tenant().tenantId : apiTenantId
    allowedPrincipals: apiAllowedPrincipals
    allowedClients: apiAllowedClients
  }
}

// One database after the other: a cluster takes one change at a time.
@batchSize(1)
module adx 'modules/adx.bicep' = [for database in databases: {
  name: 'adx-${uniqueString(token, database.name)}'
  scope: resourceGroup(clusterSubscriptionId, clusterResourceGroup)
  params: {
    clusterName: adxClusterName
    databaseName: database.name
    tableNames: database.tables
    clientId: identity.outputs.clientId
    scriptTag: adxScriptTag
  }
}]

module blobAccess 'modules/blob-access.bicep' = [for account in blobAccounts: {
  name: 'blob-access-${uniqueString(token, account.name)}'
  scope: resourceGroup(account.?subscriptionId ?? subscription().subscriptionId, account.?resourceGroup ?? resourceGroup().name)
  params: {
    accountName: account.name
    containerNames: account.?containers ?? []
    readerPrincipalIds: concat(adxReaderIds, makesSas ? [identity.outputs.principalId] : [])
    delegatorPrincipalIds: makesSas ? [identity.outputs.principalId] : []
  }
}]

module alerts 'modules/alerts.bicep' = {
  name: 'alerts-${token}'
  params: {
    name: environmentName
    location: empty(existingWorkspaceRegion) ? region : existingWorkspaceRegion
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    componentId: monitoring.outputs.componentId
    storageAccountId: queueAccountId
    actionGroupIds: monitoring.outputs.actionGroupIds
    thresholds: alertThresholds
    handoff: retryMode == 'handoff'
    runbookUrl: runbookUrl
    operationsQueue: operationsQueue
    retryQueue: retryQueue
  }
  // One of them is about the account, which has to be there.
  dependsOn: [queuesAndTables]
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook-${token}'
  params: {
    location: region
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    componentId: monitoring.outputs.componentId
  }
}

// ---- Outputs (azd keeps them in its environment; none has the name of a variable that main.bicepparam reads)

@description('Name of the function app.')
output AZURE_FUNCTION_APP_NAME string = functionApp.outputs.name

@description('Address of the function app, for redriving.')
output AZURE_FUNCTION_APP_URL string = 'https://${functionApp.outputs.hostName}'

@description('Resource group of the function app.')
output AZURE_RESOURCE_GROUP string = resourceGroup().name

@description('Tenant of the identity.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('Name of the account with the queues and tables.')
output QUEUE_ACCOUNT_NAME string = queueAccountName

@description('Where upstream jobs send operation IDs.')
output OPERATIONS_QUEUE_URL string = '${queuesAndTables.outputs.queueServiceUri}${operationsQueue}'

@description('Where the results are: the tables IngestionOperations and IngestionBlobs.')
output TABLES_URL string = queuesAndTables.outputs.tableServiceUri

@description('Client ID of the app\'s identity, by which ADX knows it.')
output TRACKER_CLIENT_ID string = identity.outputs.clientId

@description('Object ID of the app\'s identity, by which roles are assigned.')
output TRACKER_PRINCIPAL_ID string = identity.outputs.principalId

@description('Resource ID of the Application Insights component.')
output APPLICATION_INSIGHTS_ID string = monitoring.outputs.componentId

@description('What an upstream job needs: where to send, the role it needs there, and a message.')
output UPSTREAM object = {
  queueUrl: '${queuesAndTables.outputs.queueServiceUri}${operationsQueue}'
  role: 'Storage Queue Data Message Sender'
  roleScope: '${queueAccountId}/queueServices/default/queues/${operationsQueue}'
  message: '{"operationId": "ID that ADX answered", "database": "DATABASE", "table": "TABLE", "properties": {"format": "csv"}}'
}
