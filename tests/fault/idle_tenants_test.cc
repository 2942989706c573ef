// What tenants cost that do nothing: processor time of billing and scheduling together, as the kernel counts it.
//
// ALLOD_FAULT_TENANTS=10000 for the long form.
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "tests/integration/programs_fixture.h"

namespace allod::idle_tenants_test {
namespace {

using std::chrono::seconds;

constexpr int kMakers = 4;
constexpr seconds kSettle{5};
constexpr seconds kMeasured{10};
constexpr double kShareMax = 0.02;  // of one core

// User and system time that a process has used.
double CpuSeconds(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::ostringstream text;
  text << in.rdbuf();
  const std::string all = text.str();
  std::istringstream fields(all.substr(all.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Status MakeTenant(const Programs& programs, int number) {
  const std::string id = "idle-" + std::to_string(number);
  tenancy::v1::CreateTenantRequest tenant;
  tenant.set_tenant_id(id);
  tenant.mutable_tenant()->set_display_name(id);
  tenant.mutable_tenant()->set_currency_code("KES");
  tenant.mutable_tenant()->add_residency("ke");
  const auto tenants = tenancy::v1::TenantService::NewStub(programs.ChannelTo("tenancy"));
  ALLOD_CHECK_OK(
      CallUnary(*tenants, &tenancy::v1::TenantService::Stub::CreateTenant, tenant, Caller::Operator(), seconds(30)));
  billing::v1::SetBillingAccountRequest account;
  account.mutable_billing_account()->set_name("tenants/" + id + "/billingAccount");
  account.mutable_billing_account()->set_currency_code("KES");
  account.mutable_billing_account()->set_credit_limit("100");
  const auto accounts = billing::v1::BillingAccountService::NewStub(programs.ChannelTo("billing"));
  ALLOD_CHECK_OK(CallUnary(*accounts, &billing::v1::BillingAccountService::Stub::SetBillingAccount, account,
                           Caller::Operator(), seconds(30)));
  return {};
}

TEST(IdleTenants, CostNextToNothing) {
  const Programs programs;
  const char* wanted = std::getenv("ALLOD_FAULT_TENANTS");
  const int count = wanted == nullptr ? 300 : std::atoi(wanted);
  std::atomic<int> next = 0;
  std::atomic<int> failed = 0;
  std::vector<std::thread> makers;
  for (int i = 0; i < kMakers; ++i) {
    makers.emplace_back([&] {
      for (int number = next++; number < count; number = next++) failed += MakeTenant(programs, number) ? 0 : 1;
    });
  }
  for (std::thread& maker : makers) maker.join();
  ASSERT_EQ(failed, 0);
  std::this_thread::sleep_for(kSettle);
  const auto used = [&] { return CpuSeconds(programs.PidOf("billing")) + CpuSeconds(programs.PidOf("scheduling")); };
  const double before = used();
  std::this_thread::sleep_for(kMeasured);
  const double share = (used() - before) / static_cast<double>(kMeasured.count());
  std::printf("%d tenants, idle: billing and scheduling use %.2f %% of one core\n", count, 100 * share);
  EXPECT_LT(share, kShareMax);
}

}  // namespace
}  // namespace allod::idle_tenants_test
