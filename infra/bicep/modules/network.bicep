// A network of the app's own: its instances go out through it, and storage is reached in it and nowhere else.

import { PrivateEndpoint } from 'types.bicep'

@description('Name of the network.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Addresses of the network.')
param addressPrefix string

@description('Addresses of the instances, /27 or larger.')
param functionsPrefix string

@description('Addresses of the private endpoints.')
param endpointsPrefix string

@description('Resource ID of the app\'s own account.')
param ownAccountId string

@description('What is reached in it.')
param ownEndpoints PrivateEndpoint[]

@description('Resource ID of the account with the queues and tables.')
param otherAccountId string

@description('What is reached in it, where it is another account.')
param otherEndpoints PrivateEndpoint[]

var services = ['blob', 'queue', 'table']
var endpoints = concat(
  map(ownEndpoints, endpoint => union(endpoint, { accountId: ownAccountId })),
  map(otherEndpoints, endpoint => union(endpoint, { accountId: otherAccountId }))
)

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    // In the network itself: deployed as resources of their own they would be removed by each further deployment.
    subnets: [
      {
        name: 'snet-functions'
        properties: {
          addressPrefix: functionsPrefix
          delegations: [
            {
              name: 'functions'
              properties: {
                // What Flex Consumption runs in.
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'snet-endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource functionsSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-05-01' existing = {
  parent: network
  name: 'snet-functions'
}

resource endpointsSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-05-01' existing = {
  parent: network
  name: 'snet-endpoints'
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [for service in services: {
  name: 'privatelink.${service}.${environment().suffixes.storage}'
  location: 'global'
  tags: tags
  properties: {}
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (service, i) in services: {
  parent: zones[i]
  name: name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-05-01' = [for endpoint in endpoints: {
  name: 'pep-${endpoint.accountName}-${endpoint.service}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: endpointsSubnet.id
    }
    privateLinkServiceConnections: [
      {
        name: endpoint.service
        properties: {
          privateLinkServiceId: endpoint.accountId
          groupIds: [endpoint.service]
        }
      }
    ]
  }
}]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for (endpoint, i) in endpoints: {
  parent: privateEndpoints[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: endpoint.service
        properties: {
          privateDnsZoneId: zones[indexOf(services, endpoint.service)].id
        }
      }
    ]
  }
}]

@description('Resource ID of the subnet that the app\'s instances go out through.')
output functionsSubnetId string = functionsSubnet.id
