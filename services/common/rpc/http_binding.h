// How a method is called over HTTP: its google.api.http annotation (AIP-127). Pure.
//
// google.longrunning.Operations has annotations of its own, for other names: its bindings here are those of a tenant's
// operations, as a google.api.Service configuration would give them.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "services/common/result.h"
#include "services/common/rpc/path_template.h"

namespace allod {

struct HttpBinding {
  std::string http_method;
  std::string path_text;
  PathTemplate path;
  std::string body;  // "", "*" or the name of a field
};

// In order; none: it is not called over HTTP. INVALID_ARGUMENT / INVALID_PATH_TEMPLATE, INVALID_HTTP_RULE name the
// method.
Result<std::vector<HttpBinding>> HttpBindingsOf(const google::protobuf::MethodDescriptor& method);

}  // namespace allod
