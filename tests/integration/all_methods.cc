#include "tests/integration/all_methods.h"

#include <algorithm>
#include <stdexcept>

#include "google/longrunning/operations.pb.h"
#include "proto/testing/all_services.h"
#include "services/common/ids.h"
#include "services/common/rpc/timestamp.h"
#include "tests/integration/sample_requests.h"

namespace allod {
namespace {

using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// "tenancy" of "allod.tenancy.v1".
std::string AreaOf(const std::string& package) {
  const std::size_t begin = package.find('.') + 1;
  return package.substr(begin, package.find('.', begin) - begin);
}

}  // namespace

bool AnyMethod::Admits(std::initializer_list<access::v1::Who> whom) const {
  return std::ranges::find(whom, rule.access.who()) != whom.end();
}

bool AnyMethod::is_destructive() const {
  return descriptor->name().starts_with("Delete") || descriptor->name().starts_with("Revoke");
}

AllMethods::AllMethods(const Programs& programs) {
  const ServiceDescriptor* operations =
      google::longrunning::Operation::descriptor()->file()->FindServiceByName("Operations");
  for (const ServiceDescriptor* service : AllServices(SourceDir())) {
    const std::string area = AreaOf(service->file()->package());
    if (const auto channel = programs.ChannelTo(area); channel != nullptr && !stubs_.contains(area)) {
      stubs_[area] = std::make_unique<grpc::GenericStub>(channel);
    }
    for (int i = 0; i < service->method_count(); ++i) {
      Add(area, service->method(i), DescribeMethod(*service->method(i)));
    }
    if (!service->options().HasExtension(access::v1::operations)) continue;
    for (const char* name : {"GetOperation", "ListOperations", "WaitOperation"}) {
      const MethodDescriptor* method = operations->FindMethodByName(name);
      Add(area, method, DescribeOperationsMethod(*service, *method));
    }
  }
}

void AllMethods::Add(const std::string& area, const MethodDescriptor* method, const Result<Method>& rule) {
  if (!rule) throw std::runtime_error(rule.error().message);
  methods_.push_back({method, *rule, area});
}

const AnyMethod* AllMethods::Find(const std::string& name) const {
  const auto found = std::ranges::find(methods_, name, &AnyMethod::name);
  return found == methods_.end() ? nullptr : &*found;
}

AnyAnswer AllMethods::Ask(const AnyMethod& method, const google::protobuf::Message& request, const Caller& caller,
                          std::chrono::milliseconds timeout) const {
  ++calls_;
  return CallAny(*stubs_.at(method.area), *method.descriptor, request, caller, timeout);
}

nlohmann::json AllMethods::Must(const std::string& name, const nlohmann::json& request, const Caller& caller) const {
  const AnyMethod* method = Find(name);
  if (method == nullptr) throw std::runtime_error("there is no method " + name);
  const MessagePtr message = NewMessage(*method->descriptor->input_type());
  FillFromJson(request.dump(), *message);
  const AnyAnswer answer = Ask(*method, *message, caller);
  if (!answer.status.ok()) throw std::runtime_error(name + ": " + answer.status.error_message());
  return answer.messages.empty() ? nlohmann::json::object() : nlohmann::json::parse(answer.messages[0]);
}

MessagePtr AllMethods::Request(const AnyMethod& method, const std::string& resource,
                               const std::string& standing) const {
  std::string as_it_is;
  if (method.rule.resource.size() > 1) {
    const AnyMethod* get = Find(method.area + ".Get" + method.rule.resource.front()->message_type()->name());
    if (get != nullptr && !get->rule.resource.empty()) {
      const MessagePtr request = NewMessage(*get->descriptor->input_type());
      SetText(*request, get->rule.resource, standing);
      const AnyAnswer answer = Ask(*get, *request, Caller::Operator());
      if (answer.status.ok()) as_it_is = answer.messages.at(0);
    }
  }
  MessagePtr out = SampleRequest(*method.descriptor, method.rule, resource, as_it_is);
  if (const auto* code = method.descriptor->input_type()->FindFieldByName("code"); code != nullptr) {
    out->GetReflection()->SetString(out.get(), code, NewVoucherCode());
  }
  return out;
}

// One that any tenant with an account in shillings may redeem: what is refused is refused for another reason.
std::string AllMethods::NewVoucherCode() const {
  const auto later = std::chrono::system_clock::now() + std::chrono::hours(24);
  const nlohmann::json made =
      Must("billing.CreateVouchers", {{"requestId", Uuid::V7().ToString()},
                                      {"count", 1},
                                      {"voucher",
                                       {{"amount", {{"currencyCode", "KES"}, {"amount", "1"}}},
                                        {"expireTime", nlohmann::json::parse(ToJson(ToTimestamp(later)))}}}});
  return made.at("vouchers").at(0).at("code");
}

void AllMethods::Forget(const AnyMethod& method, const AnyAnswer& answer) const {
  constexpr std::string_view kCreate = "Create";
  if (!answer.status.ok() || !method.descriptor->name().starts_with(kCreate)) return;
  const AnyMethod* remove = Find(method.area + ".Delete" + method.descriptor->name().substr(kCreate.size()));
  // A tenant would have its grace, and its id would stay taken: it is left.
  if (remove == nullptr || remove->rule.resource.empty()) return;
  const auto made = nlohmann::json::parse(answer.messages.at(0));
  // Of an operation, what it makes; of what is shown with its secret, the thing itself.
  std::string name = made.contains("metadata") ? made.at("metadata").value("instance", "") : made.value("name", "");
  for (const auto& [key, part] : made.items()) {
    if (name.empty() && part.is_object()) name = part.value("name", "");
  }
  const MessagePtr request = NewMessage(*remove->descriptor->input_type());
  SetText(*request, remove->rule.resource, name);
  Ask(*remove, *request, Caller::Operator());
}

}  // namespace allod
