// The reconciler over a driver that is not ours: the port asks for nothing that only node agents have, and a driver's
// trouble with one tenant is nobody else's.
#include <gtest/gtest.h>

#include "services/scheduling/testing/fake_driver.h"
#include "services/scheduling/testing/reconciler_fixture.h"

namespace allod::scheduling::reconciler_driver_test {
namespace {

class ReconcilerDriverTest : public ReconcilerTest {
 protected:
  ReconcilerDriverTest() { EXPECT_TRUE(store_.JoinNode(node_)); }

  // Passes, a second apart, until nothing moves any more.
  void Settle() {
    for (int second = 0; second < 8; ++second) {
      ASSERT_TRUE(over_cluster_.RunOnce());
      clock_.Advance(seconds(1));
    }
  }
  bool IsDone(const TenantId& tenant, const Uuid& operation) { return store_.GetOperation(tenant, operation)->done; }

  const TenantId troubled_ = *TenantId::FromName("tenants/aa");  // comes before the other
  const std::string troubled_instance_ = "tenants/aa/projects/p/instances/a";
  const scheduler::Node node_{"n", "ke-1", scheduler::NodeState::kReady, {1000 * kMiB, 1000}, {}, false, "ke"};
  FakeDriver cluster_{std::vector{node_}};
  Reconciler over_cluster_{store_, cluster_, inbox_, *board_, news_, clock_, {}};
};

TEST_F(ReconcilerDriverTest, BringsAnInstanceUpAndTakesItAwayAgain) {
  const Uuid created = Create("a");
  Settle();
  EXPECT_TRUE(IsDone(tenant_, created));
  EXPECT_EQ(Get("a").status.state, InstanceState::kReady);
  ASSERT_EQ(over_cluster_.routes().Await(0, milliseconds(0)).value->size(), 1u);
  ASSERT_EQ(cluster_.List().size(), 1u);

  const auto deleted = store_.DeleteInstance(tenant_, Name("a"), Uuid::V7(), {});
  ASSERT_TRUE(deleted);
  over_cluster_.Wake(tenant_);
  Settle();
  EXPECT_TRUE(IsDone(tenant_, deleted->id));
  EXPECT_TRUE(cluster_.List().empty());
}

TEST_F(ReconcilerDriverTest, ATenantThatCannotBePreparedForDoesNotStopTheOthers) {
  // The code is the one that a database which is away would have.
  cluster_.unprepared[troubled_] = Error{Code::kUnavailable, "CLUSTER_UNAVAILABLE", "no namespace for it now"};
  const Uuid theirs = CreateFor(troubled_, "tenants/aa", "a");
  const Uuid ours = Create("b");
  Settle();
  EXPECT_TRUE(IsDone(tenant_, ours));
  EXPECT_FALSE(IsDone(troubled_, theirs));
  EXPECT_EQ(cluster_.List().size(), 1u) << "nothing was started for it";

  cluster_.unprepared.clear();
  clock_.Advance(seconds(60));
  Settle();
  EXPECT_TRUE(IsDone(troubled_, theirs)) << "it is tried again";
}

TEST_F(ReconcilerDriverTest, ATenantWhoseWorkersAreRefusedDoesNotStopTheOthers) {
  cluster_.refused[troubled_] = Error{Code::kUnavailable, "QUOTA", "the cluster gives it nothing"};
  const Uuid theirs = CreateFor(troubled_, "tenants/aa", "a");
  const Uuid ours = Create("b");
  Settle();
  EXPECT_TRUE(IsDone(tenant_, ours));
  EXPECT_FALSE(IsDone(troubled_, theirs));
  EXPECT_EQ(store_.GetInstance(troubled_, troubled_instance_)->status.message,
            "cannot be handed to its node: the cluster gives it nothing");
}

TEST_F(ReconcilerDriverTest, ATenantAtWhoseWorkersTheDriverThrowsDoesNotStopTheOthers) {
  cluster_.throwing.insert(troubled_);
  const Uuid theirs = CreateFor(troubled_, "tenants/aa", "a");
  const Uuid ours = Create("b");
  Settle();
  EXPECT_TRUE(IsDone(tenant_, ours));
  EXPECT_FALSE(IsDone(troubled_, theirs));

  cluster_.throwing.clear();
  clock_.Advance(seconds(60));
  Settle();
  EXPECT_TRUE(IsDone(troubled_, theirs)) << "it is tried again";
}

}  // namespace
}  // namespace allod::scheduling::reconciler_driver_test
