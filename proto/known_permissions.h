// The permissions that the methods of this installation ask for, as the protos of all its services declare them. Pure.
#pragma once

#include <string>
#include <vector>

namespace allod {

struct KnownPermission {
  std::string text;  // "scheduling.instances.get"
  // Whether a tenant's callers can ever use it: a method with it admits them.
  bool is_tenants = false;
  // Whether operators can; neither: it is between the platform's own processes.
  bool is_operators = false;
};

// By text. A service whose file is not known here fails proto_access_test.
const std::vector<KnownPermission>& KnownPermissions();

}  // namespace allod
