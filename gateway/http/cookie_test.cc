#include "gateway/http/cookie.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::cookie_test {
namespace {

Request With(std::vector<std::string> cookies) {
  Request out;
  for (std::string& cookie : cookies) out.headers.emplace_back("cookie", std::move(cookie));
  return out;
}

TEST(Cookie, IsFoundByItsNameAlone) {
  for (const auto& [headers, value] :
       std::vector<std::pair<std::vector<std::string>, const char*>>{{{"s=1"}, "1"},
                                                                     {{"a=2; s=1"}, "1"},
                                                                     {{"a=2;s=1 ; b=3"}, "1"},
                                                                     {{"a=2", "s=1"}, "1"},
                                                                     {{"s=a=b"}, "a=b"},
                                                                     {{"ss=1"}, ""},
                                                                     {{"xs=1"}, ""},
                                                                     {{"S=1"}, ""},
                                                                     {{"s"}, ""},
                                                                     {{"s="}, ""},
                                                                     {{"=s"}, ""},
                                                                     {{""}, ""},
                                                                     {{";;; ;"}, ""},
                                                                     {{"s=1; s=2"}, ""},
                                                                     {{"s=1", "s=1"}, ""}}) {
    EXPECT_EQ(CookieOf(With(headers), "s"), value) << headers.front();
  }
  EXPECT_EQ(CookieOf(Request(), "s"), "");
}

TEST(Cookie, IsSetForThisOriginAndNoScript) {
  EXPECT_EQ(SetCookie({"__Host-s", "v", std::chrono::hours(1), true}),
            "__Host-s=v; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure");
  EXPECT_EQ(SetCookie({"s", "", std::chrono::seconds(0), false}), "s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

}  // namespace
}  // namespace allod::gateway::http::cookie_test
