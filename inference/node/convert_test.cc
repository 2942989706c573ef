#include "inference/node/convert.h"

#include <gtest/gtest.h>

namespace allod::inference::node::convert_test {
namespace {

TEST(Assignment, IsCheckedBeforeAPathOrACommandIsMadeOfIt) {
  scheduling::v1::Assignment good;
  good.set_replica_uid("01900000-0000-7000-8000-00000000abcd");
  good.set_instance("tenants/ke/projects/p/instances/i");
  good.set_artifact_sha256(std::string(64, 'a'));
  good.set_tenant_uid("01900000-0000-5000-8000-0000000000AA");
  good.set_context_tokens(512);
  good.set_max_concurrency(4);
  good.set_isolation_class(scheduling::v1::ISOLATION_CLASS_DEDICATED);
  good.set_sleep_after_seconds(90);
  good.set_weight(5'000'000);
  good.mutable_residency()->add_jurisdictions("ke");
  const auto worker = FromProto(good, "ke");
  ASSERT_TRUE(worker) << worker.error().message;
  EXPECT_EQ(worker->member.tenant_uid, "01900000-0000-5000-8000-0000000000aa");
  EXPECT_EQ(worker->isolation, pool::IsolationClass::kDedicated);
  EXPECT_EQ(worker->sleep_after, std::chrono::seconds(90));
  EXPECT_EQ(worker->member.weight, 1000);
  auto bad = good;
  bad.set_replica_uid("../../etc");
  EXPECT_FALSE(FromProto(bad, "ke"));
  bad = good;
  bad.set_artifact_sha256("../passwd");
  EXPECT_FALSE(FromProto(bad, "ke"));
  bad = good;
  bad.set_instance("--model");
  EXPECT_FALSE(FromProto(bad, "ke"));
  bad = good;
  bad.set_max_concurrency(100'000);
  EXPECT_FALSE(FromProto(bad, "ke"));
  bad = good;
  bad.set_context_tokens(-1);
  EXPECT_FALSE(FromProto(bad, "ke"));
  bad = good;
  bad.set_tenant_uid("");
  EXPECT_FALSE(FromProto(bad, "ke"));
  bad = good;
  bad.set_sleep_after_seconds(-1);
  EXPECT_FALSE(FromProto(bad, "ke"));
  for (const int unknown : {0, 99}) {
    bad = good;
    bad.set_isolation_class(static_cast<scheduling::v1::IsolationClass>(unknown));
    EXPECT_FALSE(FromProto(bad, "ke")) << "never taken as isolated";
  }
}

TEST(Assignment, IsRefusedWhereTheTenantsDataMayNotBe) {
  scheduling::v1::Assignment assignment;
  assignment.set_replica_uid("01900000-0000-7000-8000-00000000abcd");
  assignment.set_instance("tenants/ke/projects/p/instances/i");
  assignment.set_artifact_sha256(std::string(64, 'a'));
  assignment.set_tenant_uid("01900000-0000-5000-8000-0000000000AA");
  assignment.set_max_concurrency(4);
  assignment.set_isolation_class(scheduling::v1::ISOLATION_CLASS_POOLED);
  const auto refusal = [&](const std::string& jurisdiction) {
    const auto worker = FromProto(assignment, jurisdiction);
    return worker ? "" : worker.error().reason + ": " + worker.error().message;
  };
  EXPECT_EQ(refusal("ke"),
            "RESIDENCY: it stands in jurisdiction ke, outside the tenant's residency (), which holds for WEIGHTS")
      << "nobody said where it may be";
  assignment.mutable_residency()->add_jurisdictions("ke");
  assignment.mutable_residency()->add_jurisdictions("tz");
  EXPECT_EQ(refusal("ke"), "");
  EXPECT_EQ(refusal("tz"), "");
  EXPECT_NE(refusal("ug"), "");
  for (const auto data_class :
       {residency::v1::DATA_CLASS_WEIGHTS, residency::v1::DATA_CLASS_KV_CACHE, residency::v1::DATA_CLASS_PROMPTS}) {
    auto& rule = *assignment.mutable_residency()->add_rules();
    rule.set_data_class(data_class);
    rule.add_jurisdictions("tz");
    EXPECT_NE(refusal("ke").find(residency::v1::DataClass_Name(data_class).substr(11)), std::string::npos)
        << refusal("ke");
    EXPECT_EQ(refusal("tz"), "");
    assignment.mutable_residency()->clear_rules();
  }
  assignment.mutable_residency()->add_rules()->add_jurisdictions("ke");
  EXPECT_TRUE(refusal("ke").starts_with("INVALID_RESIDENCY_RULE")) << "a class that is not known here";
  const auto unusable = Unusable(assignment, FromProto(assignment, "ke").error());
  ASSERT_TRUE(unusable);
  EXPECT_NE(unusable->refused_because, "");
}

TEST(Report, CanBeReadWhateverAWorkerSaid) {
  Supervisor::Snapshot snapshot;
  snapshot.workers.push_back({.replica_uid = "r", .message = "ended: \xff\xc3 \n", .worker_key = "r"});
  snapshot.models.push_back({.key = "a", .sha256 = "a", .state = pool::ModelState::kFailed, .message = "\x80"});
  snapshot.figures.workers["r"].layers = {"sec\xe2omp"};
  const auto report = ToReport("nodes/local", snapshot);
  EXPECT_EQ(report.workers(0).message(), "ended: ?? ?");
  EXPECT_EQ(report.workers(0).sandbox_layers(0), "sec?omp");
  EXPECT_EQ(report.resident_models(0).message(), "?");
  scheduling::v1::ReportWorkersRequest read;
  EXPECT_TRUE(read.ParseFromString(report.SerializeAsString()));
}

TEST(Report, GivesNoReplicaTheFiguresOfAWorkerThatOthersShare) {
  Supervisor::Snapshot snapshot;
  snapshot.workers.push_back({.replica_uid = "own", .worker_key = "own"});
  snapshot.workers.push_back({.replica_uid = "member", .worker_key = "pool/a"});
  for (const char* key : {"own", "pool/a"}) {
    snapshot.figures.workers[key].pid = 7;
    snapshot.figures.workers[key].completion_tokens = 100;
  }
  const auto report = ToReport("nodes/local", snapshot);
  EXPECT_EQ(report.workers(0).figures().completion_tokens_total(), 100);
  EXPECT_FALSE(report.workers(1).has_figures());
  EXPECT_EQ(report.workers(1).pid(), 7);
}

}  // namespace
}  // namespace allod::inference::node::convert_test
