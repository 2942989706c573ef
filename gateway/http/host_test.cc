#include "gateway/http/host.h"

#include <gtest/gtest.h>

#include <string>

namespace allod::gateway::http::host_test {
namespace {

TEST(HttpHost, IsANameOrAnAddressWithOrWithoutAPort) {
  struct Row {
    const char* text;
    bool is_address;
  };
  const Row table[] = {{"a", false},
                       {"api.example.org", false},
                       {"api.example.org.:443", false},
                       {"a_b-c.example", false},
                       {"localhost.example.org", false},
                       {"127.0.0.1.example.org", false},
                       {"1.2.3", false},
                       {"localhost", true},
                       {"LocalHost:8080", true},
                       {"127.0.0.1", true},
                       {"127.0.0.1:0", true},
                       {"10.0.0.7:65535", true},
                       {"[::1]", true},
                       {"[2001:db8::7]:443", true}};
  for (const Row& row : table) {
    EXPECT_TRUE(IsHost(row.text)) << row.text;
    EXPECT_EQ(IsAddressOrLocalhost(row.text), row.is_address) << row.text;
  }
}

TEST(HttpHost, IsNothingElse) {
  const std::string table[] = {"",
                               " ",
                               "a b",
                               "a/b",
                               "user@x",
                               "x:99999",
                               "x:abc",
                               "x:",
                               "x:-1",
                               "x:+1",
                               ":80",
                               "[::1",
                               "::1",
                               "[::1]x",
                               "[::1]:",
                               "[]",
                               "[a]",
                               "[1.2.3.4]",
                               "a,b",
                               "a:1:2",
                               "a%41",
                               "a\tb",
                               "a;b",
                               "x?y",
                               "x#y",
                               "http://x",
                               "h\xc3\xa4",
                               "[::1%25eth0]",
                               "x: 1",
                               std::string("a\0b", 3),
                               std::string(254, 'a')};
  for (const std::string& text : table) {
    EXPECT_FALSE(IsHost(text)) << text;
    EXPECT_FALSE(IsAddressOrLocalhost(text)) << text;
  }
}

}  // namespace
}  // namespace allod::gateway::http::host_test
