#include "services/common/rpc/method.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <set>
#include <string_view>

#include "services/common/log.h"

namespace allod {
namespace {

using access::v1::Access;
using access::v1::Who;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr std::string_view kOperations = "google.longrunning.Operations";

std::unexpected<Error> Invalid(const std::string& method, const std::string& why) {
  return FailedPrecondition("INVALID_ACCESS_RULE", fmt::format("{}: {}", method, why));
}

// "tenancy" of "allod.tenancy.v1".
std::string AreaOf(const std::string& package) {
  const std::size_t begin = package.find('.') + 1;
  return package.substr(begin, package.find('.', begin) - begin);
}

// The path that `dotted` takes from `message`; nullopt if it does not end in one string.
std::optional<std::vector<const FieldDescriptor*>> PathTo(std::string_view dotted, const Descriptor* message) {
  std::vector<const FieldDescriptor*> path;
  while (true) {
    const std::size_t dot = dotted.find('.');
    const FieldDescriptor* field =
        message == nullptr ? nullptr : message->FindFieldByName(std::string(dotted.substr(0, dot)));
    if (field == nullptr || field->is_repeated()) return std::nullopt;
    path.push_back(field);
    if (dot == std::string_view::npos) break;
    dotted.remove_prefix(dot + 1);
    message = field->message_type();
  }
  if (path.back()->type() != FieldDescriptor::TYPE_STRING) return std::nullopt;
  return path;
}

// How a rule of that kind takes a resource.
bool NeedsResource(Who who) {
  return who == access::v1::WHO_TENANT || who == access::v1::WHO_MEMBER || who == access::v1::WHO_ABOVE;
}
bool MayHaveResource(Who who) { return NeedsResource(who) || who == access::v1::WHO_NODE; }

Result<Method> Describe(const std::string& area, const Access& rule, const MethodDescriptor& method) {
  const std::string& name = method.full_name();
  const Who who = rule.who();
  if (who == access::v1::WHO_UNSPECIFIED || !access::v1::Who_IsValid(who))
    return Invalid(name, "its rule names nobody");
  if (rule.across_projects() && who != access::v1::WHO_TENANT) {
    return Invalid(name, "across_projects goes with WHO_TENANT only");
  }
  if (rule.whole_tenant() && (who != access::v1::WHO_TENANT || rule.across_projects())) {
    return Invalid(name, "whole_tenant goes with WHO_TENANT only, and not with across_projects");
  }
  if (!IsPermission(rule.permission()) || !rule.permission().starts_with(area + ".")) {
    return Invalid(name, fmt::format("permission: \"{}\" is not {}.collection.verb", rule.permission(), area));
  }
  Method out{
      fmt::format("{}.{}", area, method.name()), rule, RolesWith(rule.permission()), {}, Permission(rule.permission())};
  if (rule.resource().empty()) {
    if (NeedsResource(who)) return Invalid(name, "its rule needs a resource to ask about");
    return out;
  }
  if (!MayHaveResource(who)) return Invalid(name, "its rule asks about no resource, so it must name none");
  if (method.client_streaming()) return Invalid(name, "its request is a stream, so no resource is known at its start");
  auto path = PathTo(rule.resource(), method.input_type());
  if (!path) {
    return Invalid(name, fmt::format("resource: \"{}\" is not one string in {}", rule.resource(),
                                     method.input_type()->full_name()));
  }
  out.resource = *std::move(path);
  return out;
}

// The service's methods, each with a sound rule; `requests` are those of the services before.
Status CheckService(const ServiceDescriptor& service, std::set<const Descriptor*>& requests) {
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    ALLOD_CHECK_OK(DescribeMethod(method));
    ALLOD_CHECK_OK(DescribeMethodWith(*method.input_type()));
    if (!requests.insert(method.input_type()).second) {
      return Invalid(method.full_name(), "another method has the same request");
    }
  }
  return {};
}

Status CheckOperations(const ServiceDescriptor& operations, const std::vector<const ServiceDescriptor*>& owners) {
  if (owners.size() != 1) {
    return Invalid(operations.full_name(),
                   fmt::format("{} services beside it have the option allod.access.v1.operations; one must have it",
                               owners.size()));
  }
  for (const char* name : {"GetOperation", "ListOperations", "WaitOperation"}) {
    ALLOD_CHECK_OK(DescribeOperationsMethod(*owners.front(), *operations.FindMethodByName(name)));
  }
  return {};
}

}  // namespace

Result<Method> DescribeMethod(const MethodDescriptor& method) {
  if (!method.options().HasExtension(access::v1::access)) {
    return Invalid(method.full_name(), "it has no option allod.access.v1.access, so nobody may call it");
  }
  return Describe(AreaOf(method.file()->package()), method.options().GetExtension(access::v1::access), method);
}

Result<Method> DescribeOperationsMethod(const ServiceDescriptor& owner, const MethodDescriptor& method) {
  const auto& rules = owner.options().GetExtension(access::v1::operations);
  const std::string area = AreaOf(owner.file()->package());
  if (method.name() == "GetOperation") return Describe(area, rules.get(), method);
  if (method.name() == "ListOperations") return Describe(area, rules.list(), method);
  if (method.name() == "WaitOperation") return Describe(area, rules.wait(), method);
  return Invalid(method.full_name(), "allod.access.v1.operations has no rule for it");
}

Result<Method> DescribeMethodWith(const Descriptor& request) {
  const MethodDescriptor* found = nullptr;
  for (int i = 0; i < request.file()->service_count(); ++i) {
    const ServiceDescriptor& service = *request.file()->service(i);
    for (int k = 0; k < service.method_count(); ++k) {
      if (service.method(k)->input_type() != &request) continue;
      if (found != nullptr) return Invalid(service.method(k)->full_name(), "another method has the same request");
      found = service.method(k);
    }
  }
  if (found == nullptr) return Invalid(request.full_name(), "no method of its file has this request");
  return DescribeMethod(*found);
}

Status CheckServices(const std::vector<std::string>& services) {
  std::set<const Descriptor*> requests;
  std::vector<const ServiceDescriptor*> owners;
  const ServiceDescriptor* operations = nullptr;
  for (const std::string& name : services) {
    if (name.starts_with("grpc.")) continue;  // health, reflection
    const ServiceDescriptor* service = DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) return Invalid(name, "its descriptor is not in this program");
    if (name == kOperations) {
      operations = service;
      continue;
    }
    if (service->options().HasExtension(access::v1::operations)) owners.push_back(service);
    ALLOD_CHECK_OK(CheckService(*service, requests));
  }
  return operations == nullptr ? Status() : CheckOperations(*operations, owners);
}

std::string ResourceOf(const Method& method, const google::protobuf::Message& request) {
  if (method.resource.empty()) return {};
  const google::protobuf::Message* at = &request;
  for (std::size_t i = 0; i + 1 < method.resource.size(); ++i) {
    at = &at->GetReflection()->GetMessage(*at, method.resource[i]);
  }
  return at->GetReflection()->GetString(*at, method.resource.back());
}

Method SoundOrAbort(Result<Method> method) {
  if (method) return *std::move(method);
  Log(LogLevel::kError, "a method that no server may serve was called", {{"why", method.error().message}});
  std::abort();
}

Method FindOperationsMethod(const char* owner, const Descriptor& request) {
  const ServiceDescriptor* service = DescriptorPool::generated_pool()->FindServiceByName(owner);
  const ServiceDescriptor* operations = DescriptorPool::generated_pool()->FindServiceByName(std::string(kOperations));
  for (int i = 0; service != nullptr && operations != nullptr && i < operations->method_count(); ++i) {
    const MethodDescriptor& method = *operations->method(i);
    if (method.input_type() == &request) return SoundOrAbort(DescribeOperationsMethod(*service, method));
  }
  return SoundOrAbort(Invalid(request.full_name(), fmt::format("it is no request about operations of {}", owner)));
}

}  // namespace allod
