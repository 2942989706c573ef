#include "services/common/spdx.h"

#include <gtest/gtest.h>

#include <string>

namespace allod::spdx_test {
namespace {

std::string Normal(const std::string& text) {
  const auto license = NormaliseLicense("license", text);
  return license ? *license : "refused";
}

TEST(NormaliseLicense, TakesExpressionsAndSpellsThemAsSpdxDoes) {
  EXPECT_EQ(Normal("Apache-2.0"), "Apache-2.0");
  EXPECT_EQ(Normal("apache-2.0"), "Apache-2.0");
  EXPECT_EQ(Normal("MIT OR Apache-2.0"), "MIT OR Apache-2.0");
  EXPECT_EQ(Normal("  (MIT   AND(BSD-3-Clause OR ISC)) "), "(MIT AND (BSD-3-Clause OR ISC))");
  EXPECT_EQ(Normal("GPL-2.0-only WITH Classpath-exception-2.0"), "GPL-2.0-only WITH Classpath-exception-2.0");
  EXPECT_EQ(Normal("GPL-2.0+"), "GPL-2.0+") << "deprecated, but SPDX still lists it";
  EXPECT_EQ(Normal("Apache-1.1+"), "Apache-1.1+");
  EXPECT_EQ(Normal("LicenseRef-kenya.gov-1"), "LicenseRef-kenya.gov-1");
  EXPECT_EQ(Normal("DocumentRef-terms:LicenseRef-a OR MIT"), "DocumentRef-terms:LicenseRef-a OR MIT");
}

TEST(NormaliseLicense, RefusesWhatIsNoneAndSaysWhere) {
  for (const char* bad : {"",
                          " ",
                          "nonsense licence",
                          "Apache-2.0 AND",
                          "AND MIT",
                          "(MIT",
                          "MIT)",
                          "()",
                          "MIT MIT",
                          "MIT or ISC",
                          "MIT WITH",
                          "MIT WITH Apache-2.0",
                          "MIT WITH Classpath-exception-2.0+",
                          "LicenseRef-",
                          "LicenseRef-a b",
                          "LicenseRef-a_b",
                          "DocumentRef-a",
                          "DocumentRef-a:MIT",
                          "licenseref-a",
                          "MIT++",
                          "Apache 2.0",
                          "MIT\nOR ISC",
                          "free; for all",
                          "MIT \xc3\xa9"}) {
    const auto license = NormaliseLicense("version.license", bad);
    ASSERT_FALSE(license) << bad << " became " << *license;
    EXPECT_EQ(license.error().code, Code::kInvalidArgument);
    EXPECT_EQ(license.error().reason, "INVALID_LICENSE");
    EXPECT_TRUE(license.error().message.starts_with("version.license: ")) << license.error().message;
  }
  EXPECT_EQ(
      NormaliseLicense("license", "Apache-2.0 AND").error().message,
      "license: 'Apache-2.0 AND' is no SPDX expression: a licence of SPDX's list is expected at character 15 (the "
      "end); write for example Apache-2.0, MIT OR GPL-2.0-or-later, or LicenseRef-NAME for terms of your own");
  EXPECT_NE(NormaliseLicense("license", "MIT ISC").error().message.find("character 5, where 'ISC' stands"),
            std::string::npos);
}

TEST(NormaliseLicense, IsBounded) {
  EXPECT_EQ(Normal(std::string(513, 'a')), "refused");
  const std::string deep = std::string(16, '(') + "MIT" + std::string(16, ')');
  EXPECT_EQ(Normal(deep), deep);
  EXPECT_EQ(Normal("(" + deep + ")"), "refused");
  EXPECT_EQ(Normal(std::string(512, '(')), "refused");
}

}  // namespace
}  // namespace allod::spdx_test
