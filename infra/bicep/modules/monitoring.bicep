// Where telemetry goes, and who is told.

@description('Name of the workspace, if one is made.')
param workspaceName string

@description('Resource ID of a Log Analytics workspace that is there; empty: one is made.')
param existingWorkspaceId string

@description('Days that a workspace made here keeps its data.')
param retentionDays int

@description('Name of the Application Insights component.')
param componentName string

@description('Name of the action group, if one is made.')
param actionGroupName string

@description('E-mail addresses for alerts; none: no action group is made.')
param emailAddresses string[]

@description('Resource IDs of action groups that are there.')
param existingActionGroupIds string[]

@description('Region.')
param location string

@description('Tags.')
param tags object

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId
    // Telemetry needs a role, not just the connection string.
    DisableLocalAuth: true
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emailAddresses)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'adxtracker'
    emailReceivers: [for (address, i) in emailAddresses: {
      name: 'email-${i}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

@description('Resource ID of the workspace.')
output workspaceId string = empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId

@description('Resource ID of the component.')
output componentId string = component.id

@description('Name of the component.')
output componentName string = component.name

@description('Resource IDs of all action groups that alerts go to.')
output actionGroupIds string[] = concat(existingActionGroupIds, empty(emailAddresses) ? [] : [actionGroup.id])
