// Requests that a service would do, made from what their messages are: for tests that call every method and have no row
// for any. A new message needs a sample here, if a request of its type alone would not be valid.
#pragma once

#include <string>
#include <vector>

#include "services/common/rpc/method.h"
#include "tests/integration/any_method.h"

namespace allod {

// What else a request takes: `resource` in the field that the method's rule names; what is to be made under an id gets
// a new one, "new-7". `standing` is the thing that an update is about, as JSON; empty: the sample.
MessagePtr SampleRequest(const google::protobuf::MethodDescriptor& method, const Method& rule,
                         const std::string& resource, const std::string& standing = "");

}  // namespace allod
