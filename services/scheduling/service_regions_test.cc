// Regions over gRPC: made, changed in versions, and what that does to what runs there.
#include "services/scheduling/testing/service_fixture.h"

namespace allod::scheduling::service_regions_test {
namespace {

using Regions = v1::RegionService::Stub;

class RegionServiceTest : public SchedulingServiceTest {
 protected:
  Result<v1::Region> CreateRegion(const std::string& id, const std::string& jurisdiction, bool validate_only = false,
                                  const Caller& caller = Caller::Operator()) {
    v1::CreateRegionRequest request;
    request.set_region_id(id);
    request.mutable_region()->set_jurisdiction(jurisdiction);
    request.mutable_region()->set_display_name("Region " + id);
    request.set_validate_only(validate_only);
    return CallUnary(*region_stub_, &Regions::CreateRegion, request, caller, kTimeout);
  }
  v1::Region GetRegion(const std::string& id) {
    v1::GetRegionRequest request;
    request.set_name("regions/" + id);
    return CallUnary(*region_stub_, &Regions::GetRegion, request, Caller::Operator(), kTimeout).value();
  }
  Result<v1::UpdateRegionResponse> Move(const std::string& id, const std::string& jurisdiction,
                                        bool validate_only = false) {
    v1::UpdateRegionRequest request;
    *request.mutable_region() = GetRegion(id);
    request.mutable_region()->set_jurisdiction(jurisdiction);
    request.set_validate_only(validate_only);
    return CallUnary(*region_stub_, &Regions::UpdateRegion, request, Caller::Operator(), kTimeout);
  }
  bool Becomes(const std::string& instance, v1::InstanceStatus::State state) {
    for (int i = 0; i < 500; ++i) {
      if (Get(instance)->status().state() == state) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  v1::Node OnlyNode() {
    const auto nodes = CallUnary(*node_stub_, &v1::NodeService::Stub::ListNodes, {}, Caller::Operator(), kTimeout);
    return nodes.value().nodes_size() == 1 ? nodes->nodes(0) : v1::Node();
  }
};

TEST_F(RegionServiceTest, MakesARegionOnce) {
  EXPECT_EQ(CreateRegion("ug-1", "ug", false, kTenant).error().code, Code::kPermissionDenied);
  EXPECT_EQ(CreateRegion("ug-1", "uganda").error().reason, "UNKNOWN_COUNTRY");
  EXPECT_EQ(CreateRegion("UG 1", "ug").error().reason, "INVALID_ID");
  ASSERT_TRUE(CreateRegion("ug-1", "ug", true));
  auto request = CreateRequest();
  request.mutable_instance()->mutable_spec()->set_region("regions/ug-1");
  EXPECT_EQ(Create(request).error().reason, "UNKNOWN_REGION") << "only judged";
  const auto made = CreateRegion("ug-1", "ug");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->name(), "regions/ug-1");
  EXPECT_EQ(made->version(), 1);
  EXPECT_EQ(CreateRegion("ug-1", "ug")->etag(), made->etag());
  EXPECT_EQ(CreateRegion("ug-1", "ke").error().reason, "ALREADY_EXISTS");
  EXPECT_EQ(Create(request).error().reason, "REGION_OUTSIDE_RESIDENCY") << "known at once";
  const auto listed = CallUnary(*node_stub_, &v1::NodeService::Stub::ListRegions, {}, kTenant, kTimeout);
  ASSERT_EQ(listed->regions_size(), 3);
  EXPECT_EQ(listed->regions(2).display_name(), "Region ug-1");
}

TEST_F(RegionServiceTest, AChangeIsANewVersionAndTheFormerStays) {
  ASSERT_TRUE(CreateRegion("ug-1", "ug"));
  v1::UpdateRegionRequest request;
  *request.mutable_region() = GetRegion("ug-1");
  const std::string first_etag = request.region().etag();
  request.mutable_region()->set_jurisdiction("rw");
  const auto update = [&] {
    return CallUnary(*region_stub_, &Regions::UpdateRegion, request, Caller::Operator(), kTimeout);
  };
  request.mutable_region()->clear_etag();
  EXPECT_EQ(update().error().reason, "ETAG_REQUIRED");
  request.mutable_region()->set_etag("x");
  EXPECT_EQ(update().error().reason, "ETAG_MISMATCH");
  request.mutable_region()->set_etag(first_etag);
  const auto changed = update();
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->region().version(), 2);
  EXPECT_EQ(update()->region().version(), 2) << "the same content again";
  request.mutable_region()->set_jurisdiction("tz");
  EXPECT_EQ(update().error().reason, "ETAG_MISMATCH");
  v1::ListRegionVersionsRequest list;
  list.set_parent("regions/ug-1");
  list.set_page_size(1);
  const auto listed = [&] {
    return CallUnary(*region_stub_, &Regions::ListRegionVersions, list, Caller::Operator(), kTimeout).value();
  };
  const auto first = listed();
  ASSERT_EQ(first.region_versions_size(), 1);
  EXPECT_EQ(first.region_versions(0).name(), "regions/ug-1/versions/1");
  EXPECT_EQ(first.region_versions(0).jurisdiction(), "ug");
  EXPECT_EQ(first.region_versions(0).maker(), "operator");
  EXPECT_EQ(first.region_versions(0).trace_id().size(), 32U);
  list.set_page_token(first.next_page_token());
  const auto second = listed();
  ASSERT_EQ(second.region_versions_size(), 1);
  EXPECT_EQ(second.region_versions(0).jurisdiction(), "rw");
  EXPECT_EQ(second.next_page_token(), "");
}

TEST_F(RegionServiceTest, AChangedJurisdictionStopsWhatNoLongerFitsAndSaysSoFirst) {
  Gateway gateway(*route_stub_);
  Agent agent(*agent_stub_, "n");
  ASSERT_TRUE(Wait(Create(CreateRequest())->name())->done());
  ASSERT_TRUE(Becomes("a", v1::InstanceStatus::STATE_READY));
  const auto judged = Move("ke-1", "ug", true);
  ASSERT_TRUE(judged) << judged.error().message;
  ASSERT_EQ(judged->stopped_instances_size(), 1);
  EXPECT_EQ(judged->stopped_instances(0), "tenants/ke/projects/p/instances/a");
  EXPECT_EQ(judged->stopped_instance_count(), 1);
  EXPECT_EQ(GetRegion("ke-1").jurisdiction(), "ke") << "only judged";
  EXPECT_EQ(Get("a")->status().state(), v1::InstanceStatus::STATE_READY);
  const auto moved = Move("ke-1", "ug");
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->stopped_instance_count(), 1);
  ASSERT_TRUE(Becomes("a", v1::InstanceStatus::STATE_STOPPED));
  EXPECT_EQ(Get("a")->status().reason(), "REGION_OUTSIDE_RESIDENCY");
  EXPECT_NE(OnlyNode().message().find("says that it stands in jurisdiction ke, and its region ke-1 lies in ug"),
            std::string::npos)
      << OnlyNode().message();
  EXPECT_EQ(Move("ke-1", "ke", true)->stopped_instance_count(), 0);
  ASSERT_TRUE(Move("ke-1", "ke"));
  EXPECT_TRUE(Becomes("a", v1::InstanceStatus::STATE_READY)) << "it comes back";
  EXPECT_EQ(GetRegion("ke-1").version(), 3);
  EXPECT_EQ(OnlyNode().message(), "");
}

TEST_F(RegionServiceTest, NothingIsPlacedOnANodeThatStandsElsewhereThanItsRegion) {
  Agent agent(*agent_stub_, "n", "regions/ke-1", "tz");
  const auto created = Create(CreateRequest());
  ASSERT_TRUE(created) << created.error().message;
  const std::string why =
      "region ke-1 has 1 node; node n says that it stands in jurisdiction tz, and its region ke-1 lies in ke";
  for (int i = 0; i < 500 && Get("a")->status().message() != why; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(Get("a")->status().message(), why);
  EXPECT_EQ(Get("a")->status().state(), v1::InstanceStatus::STATE_FAILING);
  EXPECT_EQ(OnlyNode().jurisdiction(), "tz");
  EXPECT_EQ(OnlyNode().worker_count(), 0);
  EXPECT_NE(OnlyNode().message(), "");
}

}  // namespace
}  // namespace allod::scheduling::service_regions_test
