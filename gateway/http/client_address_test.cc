#include "gateway/http/client_address.h"

#include <gtest/gtest.h>

namespace allod::gateway::http::client_address_test {
namespace {

// "unknown" if it is not known.
std::string ClientBehind(const std::string& peer, const std::vector<std::string>& forwarded,
                         const std::vector<std::string>& trusted) {
  Headers headers = {{"host", "x"}};
  for (const std::string& value : forwarded) headers.emplace_back("x-forwarded-for", value);
  headers.emplace_back("forwarded", "for=203.0.113.99");
  headers.emplace_back("x-real-ip", "203.0.113.99");
  const auto client =
      ClientOf(IpAddress::Parse(peer).value(), headers, ParseIpRanges("trusted_proxies", trusted, 32).value());
  return client ? client->ToString() : "unknown";
}

TEST(ClientOf, IsTheSocketsPeerWhateverIsSaidUnlessAProxyIsTrusted) {
  EXPECT_EQ(ClientBehind("192.0.2.1", {}, {}), "192.0.2.1");
  EXPECT_EQ(ClientBehind("192.0.2.1", {"10.0.0.1"}, {}), "192.0.2.1");
  EXPECT_EQ(ClientBehind("192.0.2.1", {"10.0.0.1"}, {"192.0.3.0/24"}), "192.0.2.1");
  EXPECT_EQ(ClientBehind("::ffff:192.0.2.1", {"10.0.0.1"}, {"192.0.3.0/24"}), "192.0.2.1");
}

TEST(ClientOf, BelievesATrustedProxyUpToTheFirstThatIsNone) {
  const std::vector<std::string> trusted = {"192.0.2.0/24", "2001:db8:1::/48"};
  struct Case {
    std::vector<std::string> forwarded;
    const char* client;
  };
  for (const Case& c : {
           Case{{}, "192.0.2.1"},
           Case{{"203.0.113.7"}, "203.0.113.7"},
           Case{{"10.0.0.1, 203.0.113.7"}, "203.0.113.7"},  // the left one is the client's own saying
           Case{{"10.0.0.1,203.0.113.7 , 192.0.2.9"}, "203.0.113.7"},
           Case{{"10.0.0.1", "203.0.113.7"}, "203.0.113.7"},
           Case{{"203.0.113.7", "192.0.2.9"}, "203.0.113.7"},
           Case{{"203.0.113.7, 2001:db8:1::5"}, "203.0.113.7"},
           Case{{"192.0.2.8, 192.0.2.9"}, "192.0.2.8"},
           Case{{"203.0.113.7:51342"}, "203.0.113.7"},
           Case{{"[2001:db8::7]:51342"}, "2001:db8::7"},
           Case{{"[2001:db8::7]"}, "2001:db8::7"},
           Case{{"2001:db8::7"}, "2001:db8::7"},
           Case{{"::ffff:203.0.113.7"}, "203.0.113.7"},
           Case{{"203.0.113.7, , "}, "203.0.113.7"},
           Case{{""}, "192.0.2.1"},
           Case{{"unknown"}, "unknown"},
           Case{{"203.0.113.7, _hidden"}, "unknown"},
           Case{{"junk, 203.0.113.7"}, "203.0.113.7"},
           Case{{"[2001:db8::7"}, "unknown"},
           Case{{"203.0.113.7:x"}, "unknown"},
       }) {
    EXPECT_EQ(ClientBehind("192.0.2.1", c.forwarded, trusted), c.client)
        << (c.forwarded.empty() ? "" : c.forwarded.front());
  }
}

TEST(ClientOf, LooksAtSoManyAddressesAndNoMore) {
  std::string many = "203.0.113.7";
  for (int i = 0; i < 63; ++i) many += ",192.0.2.2";
  EXPECT_EQ(ClientBehind("192.0.2.1", {many}, {"192.0.2.0/24"}), "203.0.113.7");
  EXPECT_EQ(ClientBehind("192.0.2.1", {many + ",192.0.2.2"}, {"192.0.2.0/24"}), "unknown");
}

TEST(LimitedAddress, IsTheNetworkOfAHost) {
  const auto limited = [](const char* text) { return LimitedAddress(IpAddress::Parse(text).value()); };
  EXPECT_EQ(limited("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(limited("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(limited("::ffff:192.0.2.1"), "192.0.2.1");
}

}  // namespace
}  // namespace allod::gateway::http::client_address_test
