// Which services the portal API exposes, and where each is answered. The methods and their paths come from
// google.api.http annotations; a service that has to be annotated differently here than in its own file
// (google.longrunning.Operations) gets its rules from this table, as a google.api.Service configuration would give
// them.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::gateway::portal {

enum class Backend { kTenancy, kCatalog, kBilling, kScheduling };

struct PortalRule {
  std::string method;  // name inside the service
  std::string http_method;
  std::string path;
  std::string body;
};

struct PortalService {
  const google::protobuf::ServiceDescriptor* service;
  Backend backend;
  // When not empty these replace the annotations of the service.
  std::vector<PortalRule> rules;
};

// Also what makes the linker keep the descriptors.
std::vector<PortalService> PortalServices();

}  // namespace allod::gateway::portal
