// All methods of all services, as the running programs have them, and how each is asked.
#pragma once

#include <atomic>
#include <initializer_list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/common/rpc/method.h"
#include "tests/integration/any_method.h"
#include "tests/integration/programs_fixture.h"

namespace allod {

struct AnyMethod {
  const google::protobuf::MethodDescriptor* descriptor;
  Method rule;
  std::string area;  // of the program that serves it

  const std::string& name() const { return rule.name; }  // "tenancy.GetTenant"
  bool Admits(std::initializer_list<access::v1::Who> whom) const;
  // Asks about a tenant's things.
  bool takes_resource() const { return Admits({access::v1::WHO_TENANT, access::v1::WHO_MEMBER}); }
  // Or about what everybody may see.
  bool takes_tenants() const {
    return takes_resource() || Admits({access::v1::WHO_ANYONE, access::v1::WHO_PLATFORM_OR_TENANT});
  }
  bool is_destructive() const;
};

// Thread-safe.
class AllMethods {
 public:
  // Throws std::runtime_error for a method without a sound rule. The programs must outlive this.
  explicit AllMethods(const Programs& programs);

  const std::vector<AnyMethod>& all() const { return methods_; }
  const AnyMethod* Find(const std::string& name) const;  // null: there is none
  // Whether one of the programs serves it.
  bool AreServed(const AnyMethod& method) const { return stubs_.contains(method.area); }

  AnyAnswer Ask(const AnyMethod& method, const google::protobuf::Message& request, const Caller& caller,
                std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;
  // The answer; throws std::runtime_error when there is none.
  nlohmann::json Must(const std::string& name, const nlohmann::json& request,
                      const Caller& caller = Caller::Operator()) const;

  // A sample about `resource`, with a voucher that is good where it takes one; of an update with what `standing` is
  // now, by the method Get... of the same service.
  MessagePtr Request(const AnyMethod& method, const std::string& resource, const std::string& standing) const;
  // Deletes what was made on the way, so that no limit is met: by the method Delete... of the same service, if any.
  void Forget(const AnyMethod& method, const AnyAnswer& answer) const;

  int calls() const { return calls_; }

 private:
  std::string NewVoucherCode() const;
  void Add(const std::string& area, const google::protobuf::MethodDescriptor* method, const Result<Method>& rule);

  std::vector<AnyMethod> methods_;
  std::map<std::string, std::unique_ptr<grpc::GenericStub>> stubs_;
  mutable std::atomic<int> calls_ = 0;
};

}  // namespace allod
