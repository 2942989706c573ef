#include "services/billing/tenant_directory.h"

#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/rpc/client.h"

namespace allod::billing {
namespace {

namespace pb = ::allod::tenancy::v1;

constexpr std::chrono::seconds kTimeout{2};

class RpcTenantDirectory final : public TenantDirectory {
 public:
  explicit RpcTenantDirectory(const std::string& target) : stub_(pb::TenantService::NewStub(MakeChannel(target))) {}

  Result<std::string> CurrencyOf(const std::string& tenant_name) override {
    pb::GetTenantRequest request;
    request.set_name(tenant_name);
    auto tenant = CallUnary(*stub_, &pb::TenantService::Stub::GetTenant, request, Caller::Service("billing"), kTimeout);
    if (tenant) return tenant->currency_code();
    const Code code = tenant.error().code;
    if (code != Code::kUnavailable && code != Code::kDeadlineExceeded) return std::unexpected(tenant.error());
    return Fail(Code::kUnavailable, "TENANCY_UNAVAILABLE",
                "the tenancy service cannot be reached to check the tenant's currency; try again shortly");
  }

 private:
  const std::unique_ptr<pb::TenantService::Stub> stub_;
};

}  // namespace

std::unique_ptr<TenantDirectory> MakeTenantDirectory(const std::string& tenancy_target) {
  return std::make_unique<RpcTenantDirectory>(tenancy_target);
}

}  // namespace allod::billing
