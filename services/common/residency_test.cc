#include "services/common/residency.h"

#include <gtest/gtest.h>

namespace allod::residency_test {
namespace {

const ResidencyRules kRules{{"ke", "tz"}, {{DataClass::kPrompts, {"ke"}}, {DataClass::kUsage, {"ug", "rw"}}}};

TEST(Residency, AClassWithARuleOfItsOwnHasThatOne) {
  EXPECT_EQ(WhyOutside(kRules, DataClass::kWeights, "tz"), "");
  EXPECT_EQ(WhyOutside(kRules, DataClass::kPrompts, "ke"), "");
  EXPECT_EQ(WhyOutside(kRules, DataClass::kUsage, "ug"), "");
  EXPECT_EQ(WhyOutside(kRules, DataClass::kWeights, "ug"),
            "outside the tenant's residency (ke, tz), which holds for WEIGHTS");
  EXPECT_EQ(WhyOutside(kRules, DataClass::kPrompts, "tz"), "outside the tenant's residency rule for PROMPTS (ke)");
  EXPECT_EQ(WhyOutside(kRules, DataClass::kUsage, "ke"), "outside the tenant's residency rule for USAGE (ug, rw)");
}

TEST(Residency, OfSeveralClassesAllMust) {
  EXPECT_EQ(WhyOutside(kRules, kClassesOnNodes, "ke"), "");
  EXPECT_EQ(WhyOutside(kRules, kClassesOnNodes, "tz"), "outside the tenant's residency rule for PROMPTS (ke)");
  EXPECT_EQ(WhyOutside(kRules, kClassesAtHome, "ke"), "outside the tenant's residency rule for USAGE (ug, rw)");
}

TEST(Residency, FailsClosed) {
  EXPECT_NE(WhyOutside({}, DataClass::kLogs, "ke"), "");
  EXPECT_NE(WhyOutside(kRules, DataClass::kWeights, ""), "") << "a jurisdiction that is not known";
  EXPECT_NE(WhyOutside(Jurisdictions{""}, DataClass::kWeights, ""), "");
  EXPECT_NE(WhyOutside(kRules, DataClass::kWeights, "KE"), "");
  EXPECT_NE(WhyOutside({{"ke"}, {{DataClass::kLogs, {}}}}, DataClass::kLogs, "ke"), "");
}

TEST(Residency, EveryClassHasAWord) {
  for (const DataClass data_class : kDataClasses) {
    EXPECT_FALSE(WordOf(data_class).empty());
    EXPECT_EQ(DataClassOf(WordOf(data_class)), data_class);
  }
  EXPECT_EQ(WordOf(static_cast<DataClass>(0)), "");
  EXPECT_EQ(WordOf(static_cast<DataClass>(99)), "");
  EXPECT_EQ(DataClassOf("prompts"), std::nullopt);
  EXPECT_EQ(DataClassOf(""), std::nullopt);
}

TEST(Residency, IsPutInOrderOrRefused) {
  const auto valid = ValidResidency("tenant.residency", {{"tz", "ke"}, {{DataClass::kLogs, {"ug", "ke"}}}});
  ASSERT_TRUE(valid) << valid.error().message;
  EXPECT_EQ(valid->jurisdictions, (Jurisdictions{"ke", "tz"}));
  EXPECT_EQ(valid->of_class.at(DataClass::kLogs), (Jurisdictions{"ke", "ug"}));
  const auto reason = [](ResidencyRules rules) { return ValidResidency("tenant.residency", std::move(rules)).error(); };
  EXPECT_EQ(reason({}).reason, "RESIDENCY_REQUIRED");
  EXPECT_EQ(reason({{}, {{DataClass::kLogs, {"ke"}}}}).reason, "RESIDENCY_REQUIRED");
  EXPECT_EQ(reason({{"ke", "ke"}}).reason, "DUPLICATE_COUNTRY");
  EXPECT_EQ(reason({{"ke"}, {{DataClass::kLogs, {}}}}).reason, "INVALID_RESIDENCY_RULE");
  EXPECT_EQ(reason({{"ke"}, {{DataClass::kLogs, {"ke", "ke"}}}}).reason, "DUPLICATE_COUNTRY");
  const Error unknown = reason({{"ke"}, {{DataClass::kKvCache, {"ke", "qq"}}}});
  EXPECT_EQ(unknown.reason, "UNKNOWN_COUNTRY");
  EXPECT_NE(unknown.message.find("tenant.residency_rules[KV_CACHE].jurisdictions[1]"), std::string::npos)
      << unknown.message;
}

TEST(Residency, IsReadFromTheWordsThatItWasWrittenIn) {
  const std::vector<std::string> words = RuleWords(kRules.of_class);
  EXPECT_EQ(words, (std::vector<std::string>{"PROMPTS=ke", "USAGE=ug+rw"}));
  EXPECT_EQ(RulesFromWords(words), kRules.of_class);
  using Words = std::vector<std::string>;
  EXPECT_EQ(RulesFromWords(Words{}), ClassResidency());
  EXPECT_EQ(RulesFromWords(Words{"PROMPTS"}), std::nullopt);
  EXPECT_EQ(RulesFromWords(Words{"OTHER=ke"}), std::nullopt);
  EXPECT_EQ(RulesFromWords(Words{"LOGS=ke", "LOGS=tz"}), std::nullopt);
}

}  // namespace
}  // namespace allod::residency_test
