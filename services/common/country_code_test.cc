#include "services/common/country_code.h"

#include <gtest/gtest.h>

namespace allod::country_code_test {
namespace {

TEST(CheckCountryCode, KnowsTheAssignedCodesInLowerCase) {
  for (const char* code : {"ad", "ke", "ug", "ss", "zw", "tl"})
    EXPECT_TRUE(CheckCountryCode("residency[0]", code)) << code;
}

TEST(CheckCountryCode, RefusesEverythingElse) {
  for (const char* code : {"", "k", "ken", "KE", "uk", "zz", "e ", " k", "su"}) {
    const auto status = CheckCountryCode("residency[0]", code);
    ASSERT_FALSE(status) << code;
    EXPECT_EQ(status.error().reason, "UNKNOWN_COUNTRY");
    EXPECT_NE(status.error().message.find("residency[0]"), std::string::npos);
  }
}

}  // namespace
}  // namespace allod::country_code_test
