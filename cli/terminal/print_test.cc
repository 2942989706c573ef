#include "cli/terminal/print.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "allod/scheduling/v1/instance.pb.h"

namespace allod::cli::terminal::print_test {
namespace {

scheduling::v1::Instance Sample() {
  scheduling::v1::Instance instance;
  instance.set_name("tenants/ke/projects/p/instances/i");
  instance.mutable_status()->set_state(scheduling::v1::InstanceStatus::STATE_READY);
  instance.mutable_status()->set_ready_replicas(2);
  return instance;
}

TEST(FieldText, ReadsNestedFieldsAndDropsEnumPrefixes) {
  const auto instance = Sample();
  EXPECT_EQ(FieldText(instance, "status.state"), "READY");
  EXPECT_EQ(FieldText(instance, "status.ready_replicas"), "2");
  EXPECT_EQ(FieldText(instance, "create_time"), "");
  EXPECT_EQ(FieldText(instance, "no.such.field"), "");
}

TEST(MessageTable, AlignsColumns) {
  const auto instance = Sample();
  EXPECT_EQ(MessageTable({{"NAME", "name"}, {"STATE", "status.state"}}, {&instance}),
            "NAME                               STATE\n"
            "tenants/ke/projects/p/instances/i  READY\n");
}

TEST(ToJsonList, IsValidJsonWithCamelCaseNames) {
  const auto instance = Sample();
  const auto json = nlohmann::json::parse(ToJsonList({&instance, &instance}));
  ASSERT_EQ(json["items"].size(), 2U);
  EXPECT_EQ(json["items"][1]["status"]["readyReplicas"], 2);
  EXPECT_EQ(nlohmann::json::parse(ToJsonList({}))["items"].size(), 0U);
}

}  // namespace
}  // namespace allod::cli::terminal::print_test
