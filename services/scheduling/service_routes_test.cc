// Gateways: the routes that they are sent, and when a mutation returns.
#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_routes_test {
namespace {

TEST_F(SchedulingServiceTest, GatewaysRouteAsAMutationSaysWhenItReturns) {
  Gateway a(*route_stub_);
  Gateway b(*route_stub_);
  for (const auto isolation : {v1::ISOLATION_CLASS_ISOLATED, v1::ISOLATION_CLASS_POOLED}) {
    for (int i = 0; i < 10; ++i) {
      auto request = CreateRequest("a" + std::to_string(isolation) + "-" + std::to_string(i));
      request.mutable_instance()->mutable_spec()->set_isolation_class(isolation);
      ASSERT_TRUE(Create(request));
      EXPECT_EQ(a.GenerationOf(request.instance_id()), 1) << "no node runs it, but a request would wait for one";
      EXPECT_EQ(b.GenerationOf(request.instance_id()), 1);

      v1::UpdateInstanceRequest update;
      *update.mutable_instance() = *Get(request.instance_id());
      update.mutable_instance()->mutable_spec()->set_context_tokens(512);
      ASSERT_TRUE(CallUnary(*instance_stub_, &v1::InstanceService::Stub::UpdateInstance, update, kTenant, kTimeout));
      EXPECT_EQ(a.GenerationOf(request.instance_id()), 2);

      v1::DeleteInstanceRequest deletion;
      deletion.set_name("tenants/ke/projects/p/instances/" + request.instance_id());
      ASSERT_TRUE(CallUnary(*instance_stub_, &v1::InstanceService::Stub::DeleteInstance, deletion, kTenant, kTimeout));
      EXPECT_EQ(a.GenerationOf(request.instance_id()), 0);
      EXPECT_EQ(b.GenerationOf(request.instance_id()), 0);
    }
  }
}

TEST_F(SchedulingServiceTest, AGatewayThatLagsHoldsOneCreationUpAndNoMore) {
  Gateway good(*route_stub_);
  Gateway slow(*route_stub_, false);
  const auto timed = [&](const std::string& id) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(Create(CreateRequest(id)));
    EXPECT_EQ(good.GenerationOf(id), 1);
    return std::chrono::steady_clock::now() - start;
  };
  EXPECT_LT(timed("a"), seconds(4));
  for (const char* id : {"b", "c", "d"}) EXPECT_LT(timed(id), seconds(1));
}

TEST_F(SchedulingServiceTest, SendsOfTheRoutesOnlyWhatChanged) {
  constexpr int kInstances = 30;
  Gateway gateway(*route_stub_);
  for (int i = 0; i < kInstances; ++i) ASSERT_TRUE(Create(CreateRequest("i" + std::to_string(i))));
  EXPECT_EQ(gateway.routes_sent(), kInstances);
  Gateway late(*route_stub_);
  EXPECT_EQ(late.GenerationOf("i7"), 1);
  EXPECT_EQ(late.routes_sent(), kInstances);
}

TEST_F(SchedulingServiceTest, ShowsRoutesToServicesOnly) {
  const auto context = MakeStreamContext(kTenant);
  const auto watch = route_stub_->WatchRoutes(context.get(), {});
  v1::WatchRoutesResponse table;
  EXPECT_FALSE(watch->Read(&table));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace allod::scheduling::service_routes_test
