// App Service authentication before the app: with Entra ID in place of function keys, nothing gets by it without a login or a token.
// https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad

@description('Name of the function app.')
param appName string

@description('Whether it is on. Off, it is switched off where it was on.')
param requiresLogin bool

@description('Client ID of the app registration.')
param clientId string

@description('Tenant of the app registration.')
param tenantId string

@description('Object IDs that are let in; none: whoever Entra ID gives a token.')
param allowedPrincipals string[]

@description('Client IDs of the applications whose tokens are taken, beside the registration\'s own; none: any.')
param allowedClients string[]

// Of the cloud that this is deployed in, with a slash at its end.
var loginEndpoint = environment().authentication.loginEndpoint

// The registration itself is whom the page's users sign in by. Two forms of one audience: tokens of version 2 name the ID, those of version 1 the URI.
var allowedApplications = empty(allowedClients) ? [] : concat([clientId], allowedClients)
var allowedAudiences = [clientId, 'api://${clientId}']

var entraId = {
  enabled: true
  registration: {
    clientId: clientId
    // No secret: the app setting of this name, in function-app.bicep, has the app's identity vouch for it.
    clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
    openIdIssuer: '${loginEndpoint}${tenantId}/v2.0'
  }
  validation: {
    allowedAudiences: allowedAudiences
    defaultAuthorizationPolicy: {
      allowedApplications: allowedApplications
      allowedPrincipals: {
        identities: allowedPrincipals
      }
    }
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: appName
}

resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  // This is about the login alone; the reasons are those of the app settings in function-app.bicep.
  // checkov:skip=CKV_AZURE_13: this is what switches it on; with keys the functions ask for one
  // checkov:skip=CKV_AZURE_63: not a web configuration
  // checkov:skip=CKV_AZURE_65: the same
  // checkov:skip=CKV_AZURE_66: the same
  // checkov:skip=CKV_AZURE_80: there is no .NET in it
  // checkov:skip=CKV_AZURE_88: it keeps no files
  // checkov:skip=CKV_AZURE_222: as for the app
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: requiresLogin
    }
    globalValidation: {
      // A browser is sent to the login, for the page as for the rest; other clients are answered 401. No path is left out.
      requireAuthentication: requiresLogin
      unauthenticatedClientAction: requiresLogin ? 'RedirectToLoginPage' : 'AllowAnonymous'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: []
    }
    identityProviders: requiresLogin ? { azureActiveDirectory: entraId } : {}
    login: {
      // What the page shows stands behind the # of its address.
      preserveUrlFragmentsForLogins: true
      // The app acts for nobody: no token of a person is kept.
      tokenStore: {
        enabled: false
      }
    }
    httpSettings: {
      requireHttps: true
    }
  }
}
