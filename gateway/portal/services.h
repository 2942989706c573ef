// Which services the portal API exposes, and where each is answered. The methods and their paths come from their
// annotations (services/common/rpc/http_binding.h).
#pragma once

#include <google/protobuf/descriptor.h>

#include <vector>

namespace allod::gateway::portal {

enum class Backend { kTenancy, kCatalog, kBilling, kScheduling };

struct PortalService {
  const google::protobuf::ServiceDescriptor* service;
  Backend backend;
  // Of google.longrunning.Operations: whose operations they are, which says who may ask about them; else null.
  const google::protobuf::ServiceDescriptor* operations_of;
};

// Also what makes the linker keep the descriptors.
std::vector<PortalService> PortalServices();

}  // namespace allod::gateway::portal
