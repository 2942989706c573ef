// A method of an RPC service as its proto declares it: what it is called in metrics and logs, and whom it admits.
//
// A server method finds its own by the type of its request, which belongs to it alone; google.longrunning.Operations,
// which several services serve, by the service whose operations are asked about. Server::Start() checks everything that
// it serves, so that whoever finds a method finds a sound one: the process is aborted otherwise.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "allod/access/v1/access.pb.h"
#include "services/common/result.h"
#include "services/common/roles.h"

namespace allod {

struct Method {
  std::string name;  // its area and its own: "tenancy.GetProject"
  access::v1::Access access;
  Roles roles;                                                     // those that have its permission
  std::vector<const google::protobuf::FieldDescriptor*> resource;  // the path to the field that `access` names
  Permission permission = {};                                      // that of `access`
};

// FAILED_PRECONDITION / INVALID_ACCESS_RULE, naming the method: it has no rule, or none that can be kept (an unknown
// word, a permission that is missing, malformed or another area's, a resource that is missing, superfluous, no singular
// string, or behind a stream of requests).
Result<Method> DescribeMethod(const google::protobuf::MethodDescriptor& method);
// The method of google.longrunning.Operations, for operations of what `owner` does; likewise.
Result<Method> DescribeOperationsMethod(const google::protobuf::ServiceDescriptor& owner,
                                        const google::protobuf::MethodDescriptor& method);
// The one method with this request, in the request's file; likewise if there is none or another one.
Result<Method> DescribeMethodWith(const google::protobuf::Descriptor& request);

// Whether everything that a server of these services ("allod.tenancy.v1.TenantService") could be called for has a rule.
// What gRPC itself serves needs none.
Status CheckServices(const std::vector<std::string>& services);

// What `request` has in the field that the method's rule names; empty if it names none.
std::string ResourceOf(const Method& method, const google::protobuf::Message& request);

// Of a description that Server::Start() has checked.
Method SoundOrAbort(Result<Method> method);
Method FindOperationsMethod(const char* owner, const google::protobuf::Descriptor& request);

// Looked up once.
template <typename Request>
const Method& MethodOf() {
  static const Method method = SoundOrAbort(DescribeMethodWith(*Request::descriptor()));
  return method;
}
// `Owner` is the generated class of the service, e.g. v1::InstanceService.
template <typename Owner, typename Request>
const Method& OperationsMethodOf() {
  static const Method method = FindOperationsMethod(Owner::service_full_name(), *Request::descriptor());
  return method;
}

}  // namespace allod
