// The alerts: a log alert for each definition of alerts.yaml, and one on the storage account's own metric.

@description('What the rules\' names begin with.')
param name string

@description('Where the log alert rules are kept; the workspace\'s region.')
param location string

@description('Tags.')
param tags object

@description('ID of the Log Analytics workspace that the queries run in.')
param workspaceId string

@description('ID of the Application Insights resource whose telemetry the alerts are about.')
param componentId string

@description('ID of the storage account with the queues and tables.')
param storageAccountId string

@description('IDs of the action groups to tell. With none, the alerts are in the portal alone.')
param actionGroupIds array = []

@description('Thresholds that differ from those of alerts.yaml, by the alert\'s name.')
param thresholds object = {}

@description('Whether RETRY_MODE is handoff: then the retry queue is watched, as its consumer is not this app.')
param handoff bool = false

@description('Address of docs/runbook.md, which has a section for each alert.')
param runbookUrl string

@description('OPERATIONS_QUEUE.')
param operationsQueue string = 'ingestion-operations'

@description('RETRY_QUEUE.')
param retryQueue string = 'ingestion-retries'

// any(): the definitions differ in their optional keys, which would give each element a type of its own.
var definitions = any(loadYamlContent('../alerts.yaml').alerts)
var wanted = filter(definitions, definition => handoff || !contains(definition, 'only'))

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in wanted: {
  name: '${name}-${alert.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${name}: ${alert.title}'
    description: '${alert.description} Runbook: ${runbookUrl}#${alert.name}'
    severity: alert.severity
    enabled: true
    scopes: [
      workspaceId
    ]
    evaluationFrequency: alert.every
    windowSize: alert.window
    criteria: {
      allOf: [
        {
          query: replace(
            replace(replace(alert.query, '{component}', componentId), '\'ingestion-operations\'', '\'${operationsQueue}\''),
            '\'ingestion-retries\'',
            '\'${retryQueue}\''
          )
          metricMeasureColumn: alert.measure
          timeAggregation: alert.aggregation
          operator: alert.operator
          threshold: thresholds[?alert.name] ?? alert.threshold
          // Each combination of values is an alert of its own.
          dimensions: map(alert.dimensions, dimension => {
            name: dimension
            operator: 'Include'
            values: [
              '*'
            ]
          })
          failingPeriods: {
            minFailingPeriodsToAlert: alert.failing
            numberOfEvaluationPeriods: alert.of
          }
        }
      ]
    }
    // The condition that lasts is one alert, which ends by itself when the condition does.
    autoMitigate: true
    // A new workspace has no tables of Application Insights until telemetry arrives; the tests check the queries instead.
    skipQueryValidation: true
    actions: {
      actionGroups: actionGroupIds
      customProperties: {
        runbook: '${runbookUrl}#${alert.name}'
        threshold: alert.thresholdMeans
      }
    }
  }
}]

// The platform's own metric, since without storage the app can't tell. An account that nobody uses gives no data, which is no alert.
resource storageUnavailable 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${name}-storage-unavailable'
  location: 'global'
  tags: tags
  properties: {
    description: 'Requests to the storage account fail through no fault of the app. Messages wait, and nothing is polled or tried again; nothing is lost. Look at Azure\'s service health and at the account\'s limits; the app goes on by itself. Runbook: ${runbookUrl}#storage-unavailable'
    severity: 1
    enabled: true
    scopes: [
      storageAccountId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'availability'
          metricNamespace: 'Microsoft.Storage/storageAccounts'
          metricName: 'Availability'
          timeAggregation: 'Average'
          operator: 'LessThan'
          // Percent of the requests.
          threshold: thresholds[?'storage-unavailable'] ?? 99
        }
      ]
    }
    autoMitigate: true
    actions: [for id in actionGroupIds: {
      actionGroupId: id
      webHookProperties: {
        runbook: '${runbookUrl}#storage-unavailable'
      }
    }]
  }
}
