#include "services/common/jose/base64url.h"

#include <gtest/gtest.h>

namespace allod::jose::base64url_test {
namespace {

TEST(Base64Url, TakesOneTextForEachValue) {
  for (const std::string& bytes :
       {std::string("a"), std::string("ab"), std::string("abc"), std::string("\xff\xfe\xfd\x00", 4)}) {
    EXPECT_EQ(DecodeBase64Url(EncodeBase64Url(bytes)), bytes);
  }
  EXPECT_EQ(DecodeBase64Url(""), "");
  EXPECT_EQ(DecodeBase64Url("-_8"), "\xfb\xff");
  for (const char* text : {"YQ==", "YQ=", "YR", "YWK", "Y", "Y Q", "YQ\n", "+/8", "YQ.", "YWJj\x01"}) {
    EXPECT_FALSE(DecodeBase64Url(text)) << text;
  }
  EXPECT_FALSE(DecodeBase64Url(std::string_view("YQ\0", 3)));
}

}  // namespace
}  // namespace allod::jose::base64url_test
