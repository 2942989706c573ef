#include "cli/supervisor/service_users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

namespace allod::cli::supervisor::service_users_test {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

TEST(ServiceUsers, TheBlockMeetsNeitherTheSystemsNorTheWorkersUsers) {
  for (const std::uint32_t good : {60'000U, 0x70000000U - kServiceUids, kServiceUidsFirst, 0x7fffffffU - 63U}) {
    EXPECT_TRUE(ServiceUsers::Make(good)) << good;
  }
  for (const std::uint32_t bad :
       {0U, 1000U, 59'999U, 0x70000000U - 1U, 0x70000000U, kServiceUidsFirst - 1U, 0x7fffffffU - 62U, 0xffffffffU}) {
    const auto made = ServiceUsers::Make(bad);
    ASSERT_FALSE(made) << bad;
    EXPECT_EQ(made.error().reason, "INVALID_UIDS");
  }
}

class ServiceUsersAsRoot : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "users are given away by root only";
  }
  const ServiceUsers users_ = *ServiceUsers::Make(kServiceUidsFirst);
};

TEST_F(ServiceUsersAsRoot, EveryProcessButTheNodeAgentHasAUserOfItsOwn) {
  std::set<uid_t> uids;
  for (const char* name : {"tenancy", "catalog", "billing", "scheduling", "gateway", "redis", "postgres"}) {
    const auto user = users_.Of(name);
    ASSERT_TRUE(user) << name;
    EXPECT_NE(user->uid, 0U) << name;
    EXPECT_NE(user->gid, 0U) << name;
    EXPECT_TRUE(uids.insert(user->uid).second) << name << " shares its user";
  }
  EXPECT_EQ(users_.Of("node")->uid, 0U);
}

TEST_F(ServiceUsersAsRoot, GroupsReachWhatAProcessNeedsAndNothingElse) {
  const auto groups = [&](const char* name) { return users_.Of(name)->groups; };
  const auto clients = [&](const char* name) { return users_.ClientsOf(name); };
  EXPECT_THAT(groups("tenancy"), UnorderedElementsAre(clients("postgres"), users_.pepper()));
  EXPECT_THAT(groups("catalog"), UnorderedElementsAre(clients("billing"), clients("postgres"), users_.artifacts()));
  EXPECT_THAT(groups("billing"), UnorderedElementsAre(clients("tenancy"), clients("postgres")));
  EXPECT_THAT(groups("gateway"), Not(Contains(clients("postgres"))));
  EXPECT_THAT(groups("gateway"), Contains(clients("workers")));
  EXPECT_THAT(groups("redis"), IsEmpty());
  EXPECT_THAT(groups("postgres"), IsEmpty());
}

TEST_F(ServiceUsersAsRoot, CallersAreWhoCalls) {
  EXPECT_THAT(users_.Callers("tenancy"),
              UnorderedElementsAre(users_.Of("billing")->uid, users_.Of("scheduling")->uid, users_.Of("gateway")->uid));
  EXPECT_THAT(users_.Callers("gateway"), IsEmpty()) << "the operators' socket is root's";
}

}  // namespace
}  // namespace allod::cli::supervisor::service_users_test
