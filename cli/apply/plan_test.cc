#include "cli/apply/plan.h"

#include <gtest/gtest.h>

#include "allod/billing/v1/billing_account.pb.h"
#include "allod/catalog/v1/listing.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"
#include "cli/kinds/registry.h"

namespace allod::cli::apply::plan_test {
namespace {

using Changes = std::vector<FieldChange>;

scheduling::v1::InstanceSpec Spec(scheduling::v1::IsolationClass isolation_class, int concurrency, int sleep_seconds) {
  scheduling::v1::InstanceSpec spec;
  spec.set_listing("listings/l");
  spec.set_isolation_class(isolation_class);
  spec.set_max_concurrency(concurrency);
  spec.set_sleep_after_seconds(sleep_seconds);
  return spec;
}

TEST(Differences, NamesEveryFieldThatALeftOutOneWouldReset) {
  const auto current = Spec(scheduling::v1::ISOLATION_CLASS_POOLED, 8, 100);
  EXPECT_EQ(Differences(current, current, FieldNames(current), {}), Changes{});
  // What an update would leave of a manifest that says maxConcurrency: 9 alone.
  const auto after = Spec(scheduling::v1::ISOLATION_CLASS_ISOLATED, 9, 0);
  EXPECT_EQ(Differences(current, after, FieldNames(current), {}), (Changes{{"isolationClass", "POOLED", "ISOLATED"},
                                                                           {"maxConcurrency", "8", "9"},
                                                                           {"sleepAfterSeconds", "100", ""}}));
}

TEST(Differences, ReadAsASentence) {
  EXPECT_EQ(ToText({{"isolationClass", "POOLED", "ISOLATED"}, {"sleepAfterSeconds", "100", ""}}),
            "isolationClass: POOLED -> ISOLATED, sleepAfterSeconds: 100 -> default");
  EXPECT_EQ(ToText(Changes{}), "");
}

TEST(Differences, CompareDecimalsAsNumbersAndTextAsText) {
  billing::v1::BillingAccount current, wanted;
  current.set_credit_limit("12.5");
  wanted.set_credit_limit("12.50");
  const std::set<std::string> decimals = {"allod.billing.v1.BillingAccount.credit_limit"};
  EXPECT_EQ(Differences(current, wanted, {"credit_limit"}, decimals), Changes{});
  EXPECT_EQ(Differences(current, wanted, {"credit_limit"}, {}), (Changes{{"creditLimit", "12.5", "12.50"}}));

  tenancy::v1::Tenant seven, padded;
  seven.set_display_name("7");
  padded.set_display_name("007.0");
  EXPECT_EQ(Differences(seven, padded, {"display_name"}, decimals), (Changes{{"displayName", "7", "007.0"}}));
}

TEST(Differences, TakeListsAsSetsOfTypedRows) {
  const std::set<std::string> decimals = {"allod.billing.v1.TokenPrice.prompt_price_per_million"};
  catalog::v1::Listing current, wanted;
  for (const char* code : {"ke", "ug"}) current.add_territory(code);
  for (const char* code : {"ug", "ke"}) wanted.add_territory(code);
  for (auto [listing, digits] : {std::pair{&current, "5"}, std::pair{&wanted, "5.00"}}) {
    auto& price = *listing->add_prices();
    price.set_currency_code("KES");
    price.set_prompt_price_per_million(digits);
  }
  EXPECT_EQ(Differences(current, wanted, {"territory", "prices"}, decimals), Changes{});
  wanted.mutable_prices(0)->set_isolation_class("pooled");
  wanted.add_territory("tz");
  const auto changes = Differences(current, wanted, {"territory", "prices"}, decimals);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0], (FieldChange{"territory", "ke,ug", "ug,ke,tz"}));
  EXPECT_EQ(changes[1].field, "prices");
}

// A manifest that names a field of something that cannot be changed is told when it says otherwise, an empty value
// included; plan and manifest go by the fields that are given.
TEST(Differences, SeeAValueThatWasGivenEmpty) {
  tenancy::v1::Tenant current, wanted;
  current.set_display_name("Kenya");
  EXPECT_EQ(Differences(current, wanted, {"display_name"}, {}), (Changes{{"displayName", "Kenya", ""}}));
  EXPECT_EQ(Differences(current, wanted, {}, {}), Changes{});
}

TEST(KeepUnnamedGroups, LeavesWhatTheManifestDoesNotName) {
  tenancy::v1::Tenant current;
  current.set_display_name("Kenya");
  current.mutable_quota()->set_instances(5);
  current.mutable_limits()->set_requests_per_minute(60);
  tenancy::v1::Tenant wanted;
  wanted.mutable_quota()->set_api_keys(7);
  KeepUnnamedGroups(current, {"display_name", "quota", "limits"}, {"quota"}, wanted);
  EXPECT_EQ(wanted.display_name(), "") << "a value that is left out has its default";
  EXPECT_EQ(wanted.quota().instances(), 0) << "a group that is named is what the manifest says";
  EXPECT_EQ(wanted.quota().api_keys(), 7);
  EXPECT_EQ(wanted.limits().requests_per_minute(), 60);
  tenancy::v1::Tenant cleared;
  KeepUnnamedGroups(current, {"quota", "limits"}, {"quota", "limits"}, cleared);
  EXPECT_FALSE(cleared.has_quota());
  EXPECT_EQ(Differences(current, cleared, {"limits"}, {}), (Changes{{"limits", "requests_per_minute: 60", ""}}));
}

// Every group of every kind, so that none that is added one day is forgotten.
TEST(KeepUnnamedGroups, HoldsForEveryKind) {
  int groups = 0;
  for (const kinds::ResourceKind& kind : kinds::ResourceKinds()) {
    if (!kind.update || !kind.spec_field.empty()) continue;
    for (const std::string& name : kind.spec_fields) {
      const auto* field = kind.prototype->GetDescriptor()->FindFieldByName(name);
      ASSERT_NE(field, nullptr) << kind.kind << "." << name;
      if (field->message_type() == nullptr) continue;
      ++groups;
      const std::unique_ptr<google::protobuf::Message> current(kind.prototype->New());
      const auto* reflection = current->GetReflection();
      if (field->is_repeated()) {
        reflection->AddMessage(current.get(), field);
      } else {
        reflection->MutableMessage(current.get(), field);
      }
      const auto has = [&](const google::protobuf::Message& message) {
        return field->is_repeated() ? reflection->FieldSize(message, field) == 1 : reflection->HasField(message, field);
      };
      const std::unique_ptr<google::protobuf::Message> left_out(kind.prototype->New());
      KeepUnnamedGroups(*current, kind.spec_fields, {}, *left_out);
      EXPECT_TRUE(has(*left_out)) << kind.kind << "." << name;
      const std::unique_ptr<google::protobuf::Message> named(kind.prototype->New());
      KeepUnnamedGroups(*current, kind.spec_fields, {name}, *named);
      EXPECT_FALSE(has(*named)) << kind.kind << "." << name;
    }
  }
  EXPECT_GE(groups, 6);
}

}  // namespace
}  // namespace allod::cli::apply::plan_test
