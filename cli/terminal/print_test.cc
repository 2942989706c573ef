#include "cli/terminal/print.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "allod/scheduling/v1/instance.pb.h"
#include "allod/tenancy/v1/member.pb.h"

namespace allod::cli::terminal::print_test {
namespace {

scheduling::v1::Instance Sample() {
  scheduling::v1::Instance instance;
  instance.set_name("tenants/ke/projects/p/instances/i");
  instance.mutable_status()->set_state(scheduling::v1::InstanceStatus::STATE_READY);
  instance.mutable_status()->set_ready_replicas(2);
  return instance;
}

TEST(Plain, ATerminalObeysNothingOfWhatSomebodyElseWrote) {
  EXPECT_EQ(Plain("J\u00fcrgen\tsays\n"), "J\u00fcrgen\tsays\n");
  EXPECT_EQ(Plain("\x1b]0;owned\x07\x7f\r"), "\\x1b]0;owned\\x07\\x7f\\x0d");
  EXPECT_EQ(Plain("a\u009bb\xc2"), "a\\u009bb\xc2");
  EXPECT_EQ(Table({"NAME"}, {{"a\x1b[2Jb"}}), "NAME\na\\x1b[2Jb\n");
}

TEST(FieldText, ReadsNestedFieldsAndDropsEnumPrefixes) {
  const auto instance = Sample();
  EXPECT_EQ(FieldText(instance, "status.state"), "READY");
  EXPECT_EQ(FieldText(instance, "status.ready_replicas"), "2");
  EXPECT_EQ(FieldText(instance, "create_time"), "");
  EXPECT_EQ(FieldText(instance, "no.such.field"), "");
  EXPECT_EQ(FieldText(instance, "name.first"), "");
}

TEST(FieldText, JoinsTheFieldsOfListedMessages) {
  tenancy::v1::Member member;
  EXPECT_EQ(FieldText(member, "claims.claim"), "");
  member.add_claims()->set_claim("email");
  member.add_claims()->set_claim("groups");
  EXPECT_EQ(FieldText(member, "claims.claim"), "email,groups");
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
