#include "services/common/private_url.h"

#include <gtest/gtest.h>

namespace allod::private_url_test {
namespace {

TEST(PrivateUrl, IsHttpsOrOnThisMachine) {
  for (const char* url : {"https://a", "https://a.example:8443/x?y#z", "https://[2001:db8::1]/", "http://127.0.0.1",
                          "http://127.0.0.1:8080/x", "http://[::1]/", "http://[::1]:8080", "http://localhost/"}) {
    EXPECT_TRUE(IsPrivateUrl(url)) << url;
  }
  for (const char* url : {"", "a", "https://", "https:///x", "http://", "http://a.example/", "http://10.0.0.1/",
                          "ftp://localhost/", "//localhost/", "javascript:alert(1)", "http://127.0.0.1.evil.example/",
                          "http://localhost.evil.example/", "http://127.0.0.1:1@evil.example/",
                          "https://user@a.example/", "http://evil.example\\@127.0.0.1/", "http://[::1"}) {
    EXPECT_FALSE(IsPrivateUrl(url)) << url;
  }
}

TEST(PrivateOrigin, HasNothingBehindItsPort) {
  for (const char* url : {"https://a.example", "https://a.example:8443", "http://127.0.0.1:8080", "http://[::1]:1"}) {
    EXPECT_TRUE(IsPrivateOrigin(url)) << url;
  }
  for (const char* url :
       {"https://a.example/", "https://A.example", "https://a?x", "http://a.example", "https://a b", "none"}) {
    EXPECT_FALSE(IsPrivateOrigin(url)) << url;
  }
}

}  // namespace
}  // namespace allod::private_url_test
