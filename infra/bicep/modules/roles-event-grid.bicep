// The app's role on the Event Grid topic that ends are published to, which is there and may be in another resource group.

import { roleIds } from 'role-ids.bicep'

@description('Name of the topic. Its input schema is Cloud Event Schema v1.0.')
param topicName string

@description('Object ID of the app\'s identity.')
param principalId string

resource topic 'Microsoft.EventGrid/topics@2022-06-15' existing = {
  name: topicName
}

// The app publishes to this one topic, and can neither read nor change it.
resource publishing 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: topic
  name: guid(topic.id, principalId, roleIds.eventGridDataSender)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.eventGridDataSender)
  }
}
