// The workbook: what workbook.yaml shows, bound to a workspace and an Application Insights resource.

@description('The Application Insights resource\'s region.')
param location string

@description('Tags.')
param tags object

@description('ID of the Log Analytics workspace that the queries run in.')
param workspaceId string

@description('ID of the Application Insights resource that the workbook is about and is listed under.')
param componentId string

var content = string(loadYamlContent('../workbook.yaml'))

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // A workbook's name has to be a GUID; this one stays the same from deployment to deployment.
  name: guid(componentId, 'adx-ingestion-tracker')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'ADX ingestion tracker'
    description: 'Operations and blobs, failures, retries, latency, backlog, and the story of one operation.'
    category: 'workbook'
    version: 'Notebook/1.0'
    sourceId: componentId
    serializedData: replace(replace(content, '{component}', componentId), '{workspace}', workspaceId)
  }
}

@description('Resource ID.')
output id string = workbook.id
