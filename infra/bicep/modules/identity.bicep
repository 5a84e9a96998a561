// The one identity that the app has: for its host, its queues and tables, ADX and Application Insights.

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

@description('Resource ID, by which the app is given the identity.')
output id string = identity.id

@description('Client ID, by which code and ADX know it.')
output clientId string = identity.properties.clientId

@description('Object ID, by which roles are assigned.')
output principalId string = identity.properties.principalId
