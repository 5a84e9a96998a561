using 'main.bicep'

// Each parameter is read from an environment variable: of the shell, or kept by azd (azd env set NAME VALUE).
// Lists and objects are JSON. What is not set has the default of main.bicep; a test compares the two.

// ---- Names and place

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'tracker')
param workloadName = readEnvironmentVariable('WORKLOAD_NAME', 'tracker')
param location = readEnvironmentVariable('AZURE_LOCATION', '')
param extraTags = json(readEnvironmentVariable('EXTRA_TAGS', '{}'))

// ---- Storage

param storageSku = readEnvironmentVariable('STORAGE_SKU', 'Standard_LRS')
param ingestionStorageAccountName = readEnvironmentVariable('INGESTION_STORAGE_ACCOUNT_NAME', '')
param ingestionStorageResourceGroup = readEnvironmentVariable('INGESTION_STORAGE_RESOURCE_GROUP', '')
param operationsQueue = readEnvironmentVariable('OPERATIONS_QUEUE', 'ingestion-operations')
param retryQueue = readEnvironmentVariable('RETRY_QUEUE', 'ingestion-retries')
param pollQueue = readEnvironmentVariable('POLL_QUEUE', 'ingestion-polls')
param resultsQueue = readEnvironmentVariable('RESULTS_QUEUE', '')
param upstreamPrincipals = json(readEnvironmentVariable('UPSTREAM_PRINCIPALS', '[]'))
param retryConsumers = json(readEnvironmentVariable('RETRY_CONSUMERS', '[]'))
param resultConsumers = json(readEnvironmentVariable('RESULT_CONSUMERS', '[]'))
param resultReaders = json(readEnvironmentVariable('RESULT_READERS', '[]'))
param operators = json(readEnvironmentVariable('OPERATORS', '[]'))

// ---- ADX

// No default: without it the deployment stops here and names it.
param kustoIngestUri = readEnvironmentVariable('KUSTO_INGEST_URI')
param kustoAllowedIngestUris = readEnvironmentVariable('KUSTO_ALLOWED_INGEST_URIS', '')
param kustoBulkStatus = bool(readEnvironmentVariable('KUSTO_BULK_STATUS', 'false'))
param kustoDatabase = readEnvironmentVariable('KUSTO_DATABASE', '')
param kustoTable = readEnvironmentVariable('KUSTO_TABLE', '')
param adxClusterName = readEnvironmentVariable('ADX_CLUSTER_NAME', '')
param adxResourceGroup = readEnvironmentVariable('ADX_RESOURCE_GROUP', '')
param adxSubscriptionId = readEnvironmentVariable('ADX_SUBSCRIPTION_ID', '')
param adxDatabases = json(readEnvironmentVariable('ADX_DATABASES', '[]'))
param adxScriptTag = readEnvironmentVariable('ADX_SCRIPT_TAG', '')
param adxClusterPrincipalId = readEnvironmentVariable('ADX_CLUSTER_PRINCIPAL_ID', '')
param blobAccounts = json(readEnvironmentVariable('BLOB_ACCOUNTS', '[]'))

// ---- Events

param eventgridTopicEndpoint = readEnvironmentVariable('EVENTGRID_TOPIC_ENDPOINT', '')
param eventgridTopicName = readEnvironmentVariable('EVENTGRID_TOPIC_NAME', '')
param eventgridTopicResourceGroup = readEnvironmentVariable('EVENTGRID_TOPIC_RESOURCE_GROUP', '')

// ---- Polling

param pollSchedule = readEnvironmentVariable('POLL_SCHEDULE', '*/15 * * * * *')
param pollFirstDelaySeconds = int(readEnvironmentVariable('POLL_FIRST_DELAY_SECONDS', '15'))
param pollMinIntervalSeconds = int(readEnvironmentVariable('POLL_MIN_INTERVAL_SECONDS', '20'))
param pollMaxIntervalSeconds = int(readEnvironmentVariable('POLL_MAX_INTERVAL_SECONDS', '300'))
param pollConcurrency = int(readEnvironmentVariable('POLL_CONCURRENCY', '32'))
param pollInlineLimit = int(readEnvironmentVariable('POLL_INLINE_LIMIT', '500'))
param trackingTimeoutHours = int(readEnvironmentVariable('TRACKING_TIMEOUT_HOURS', '48'))
param notFoundGraceMinutes = int(readEnvironmentVariable('NOT_FOUND_GRACE_MINUTES', '15'))

// ---- Retrying

param retryMode = readEnvironmentVariable('RETRY_MODE', 'resubmit')
param retryMaxAttempts = int(readEnvironmentVariable('RETRY_MAX_ATTEMPTS', '5'))
param retryBaseDelaySeconds = int(readEnvironmentVariable('RETRY_BASE_DELAY_SECONDS', '60'))
param retryMaxDelaySeconds = int(readEnvironmentVariable('RETRY_MAX_DELAY_SECONDS', '3600'))
param retryBlobAccess = readEnvironmentVariable('RETRY_BLOB_ACCESS', 'as-is')
param retryDeduplicate = bool(readEnvironmentVariable('RETRY_DEDUPLICATE', 'false'))
param resultsRetentionDays = int(readEnvironmentVariable('RESULTS_RETENTION_DAYS', '90'))

// ---- HTTP API

param apiAuth = readEnvironmentVariable('API_AUTH', 'keys')
param apiClientId = readEnvironmentVariable('API_CLIENT_ID', '')
param apiTenantId = readEnvironmentVariable('API_TENANT_ID', '')
param apiAllowedPrincipals = json(readEnvironmentVariable('API_ALLOWED_PRINCIPALS', '[]'))
param apiAllowedClients = json(readEnvironmentVariable('API_ALLOWED_CLIENTS', '[]'))

// ---- Telemetry and alerts

param traceSamplingPercent = int(readEnvironmentVariable('TRACE_SAMPLING_PERCENT', '10'))
param logLevel = readEnvironmentVariable('LOG_LEVEL', 'info')
param existingWorkspaceId = readEnvironmentVariable('EXISTING_WORKSPACE_ID', '')
param existingWorkspaceRegion = readEnvironmentVariable('EXISTING_WORKSPACE_REGION', '')
param workspaceRetentionDays = int(readEnvironmentVariable('WORKSPACE_RETENTION_DAYS', '30'))
param alertEmailAddresses = json(readEnvironmentVariable('ALERT_EMAIL_ADDRESSES', '[]'))
param existingActionGroupIds = json(readEnvironmentVariable('EXISTING_ACTION_GROUP_IDS', '[]'))
param alertThresholds = json(readEnvironmentVariable('ALERT_THRESHOLDS', '{}'))
param runbookUrl = readEnvironmentVariable('RUNBOOK_URL', 'docs/runbook.md')

// ---- Scale

param maximumInstanceCount = int(readEnvironmentVariable('MAXIMUM_INSTANCE_COUNT', '40'))
// any(): to the compiler int() may be whatever number, and so none of those allowed (BCP033).
param instanceMemoryMb = any(int(readEnvironmentVariable('INSTANCE_MEMORY_MB', '2048')))
param alwaysReady = json(readEnvironmentVariable('ALWAYS_READY', '[]'))
param zoneRedundant = bool(readEnvironmentVariable('ZONE_REDUNDANT', 'false'))

// ---- Network

param privateNetworking = bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false'))
param networkPrefix = readEnvironmentVariable('NETWORK_PREFIX', '10.80.0.0/24')
param functionsSubnetPrefix = readEnvironmentVariable('FUNCTIONS_SUBNET_PREFIX', '10.80.0.0/26')
param endpointsSubnetPrefix = readEnvironmentVariable('ENDPOINTS_SUBNET_PREFIX', '10.80.0.64/27')
