// The app itself: a Flex Consumption plan, the app with its identity, and all its settings.

import { AlwaysReady } from 'types.bicep'

@description('Name of the app.')
@maxLength(32)
param name string

@description('Name of the plan.')
param planName string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Resource ID of the app\'s identity.')
param identityId string

@description('Client ID of the app\'s identity.')
param identityClientId string

@description('Name of the host\'s storage account.')
param storageAccountName string

@description('Container that the app is published to.')
param deploymentContainerName string

@description('Name of the Application Insights component.')
param componentName string

@description('Address of the app\'s queues.')
param queueServiceUri string

@description('Address of the app\'s tables.')
param tableServiceUri string

@description('The tracker\'s own settings, by name.')
param trackerSettings object

@description('Whether people sign in with Entra ID before they reach the app.')
param requiresLogin bool

@description('Most instances.')
param maximumInstanceCount int

@description('Memory of an instance in MB.')
param instanceMemoryMb int

@description('Instances that are kept running.')
param alwaysReady AlwaysReady[]

@description('Whether the plan is spread over zones.')
param zoneRedundant bool

@description('Subnet that the instances go out through; empty: none.')
param subnetId string

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageAccountName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

// What the host and the libraries read, and the app finds its way by. Flex Consumption sets the runtime and the package by itself:
// FUNCTIONS_*, WEBSITE_RUN_FROM_PACKAGE, WEBSITE_CONTENT* and SCM_DO_BUILD_DURING_DEPLOYMENT must not be here.
var platformSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: account.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: account.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: account.properties.primaryEndpoints.table
  // Without __accountName: beside the addresses it would win over them.
  IngestionStorage__credential: 'managedidentity'
  IngestionStorage__clientId: identityClientId
  IngestionStorage__queueServiceUri: queueServiceUri
  IngestionStorage__tableServiceUri: tableServiceUri
  AZURE_CLIENT_ID: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: component.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // The worker tells the host that the app exports its log lines itself; otherwise each would arrive twice.
  PYTHON_ENABLE_OPENTELEMETRY: 'true'
}

// In place of the app registration's secret: App Service authentication proves itself by the app's identity.
// https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad#use-a-managed-identity-instead-of-a-secret-preview
var loginSettings = requiresLogin ? { OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId } : {}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225: zoneRedundant is a parameter; not every region has zones, and nothing is lost without
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_17: people and pipelines redrive with a function key; they have no client certificates
  // checkov:skip=CKV_AZURE_212: Flex Consumption scales by itself from none; alwaysReady is a parameter
  // checkov:skip=CKV_AZURE_213: there is no health check on Flex Consumption; an alert tells of a poller that has stopped
  // checkov:skip=CKV_AZURE_222: it is published to and redriven from outside, with Entra ID and function keys; privateNetworking closes storage
  // checkov:skip=CKV_AZURE_78: Flex Consumption has no FTP, and refuses ftpsState; basic publishing by FTP is off below
  name: name
  location: location
  // azd finds the app to publish to by this tag.
  tags: union(tags, { 'azd-service-name': 'tracker' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${account.properties.primaryEndpoints.blob}${deploymentContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstanceCount
        instanceMemoryMB: instanceMemoryMb
        alwaysReady: alwaysReady
      }
    }
    // Flex Consumption has no FTP, and newer regions refuse a deployment that has ftpsState, linuxFxVersion or the like here.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  // These are the app settings alone; what is asked of a site's configuration is in siteConfig above, as far as Flex Consumption has it.
  // checkov:skip=CKV_AZURE_13: its HTTP functions need a function key, or modules/sign-in.bicep stands before them
  // checkov:skip=CKV_AZURE_63: not a web configuration: invocations are logged to Application Insights
  // checkov:skip=CKV_AZURE_65: the same
  // checkov:skip=CKV_AZURE_66: the same
  // checkov:skip=CKV_AZURE_80: there is no .NET in it
  // checkov:skip=CKV_AZURE_88: it keeps no files: Flex Consumption has no content share
  // checkov:skip=CKV_AZURE_222: as for the app
  parent: app
  name: 'appsettings'
  properties: union(platformSettings, loginSettings, trackerSettings)
}

// Publishing is by Entra ID alone.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Name of the app.')
output name string = app.name

@description('Host name of the app.')
output hostName string = app.properties.defaultHostName
