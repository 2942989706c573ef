#include "services/common/web/address_policy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace allod::address_policy_test {
namespace {

AddressPolicy Policy(const std::vector<std::string>& networks) {
  return AddressPolicy(ParseIpRanges("networks", networks, networks.size()).value());
}

bool Allows(const AddressPolicy& policy, const std::string& text) {
  sockaddr_storage address{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr), 1) << text;
    v6->sin6_family = AF_INET6;
  }
  return policy.Allows(reinterpret_cast<const sockaddr&>(address));
}

TEST(AddressPolicy, AllowsThePublicInternetOnly) {
  const AddressPolicy policy;
  for (const char* address : {"8.8.8.8", "140.82.121.3", "172.32.0.1", "100.128.0.1", "192.0.1.1", "223.255.255.254",
                              "2606:50c0:8000::153", "2a00:1450:4001::1", "::ffff:8.8.8.8"}) {
    EXPECT_TRUE(Allows(policy, address)) << address;
  }
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.0.1",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.8",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.1.1",
                              "198.18.0.1",
                              "198.51.100.7",
                              "203.0.113.9",
                              "224.0.0.1",
                              "239.1.1.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "2001:db8::1",
                              "2001::1",
                              "2002:7f00:1::",
                              "64:ff9b::7f00:1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "::127.0.0.1",
                              "100::1",
                              "3fff::1",
                              "fec0::1"}) {
    EXPECT_FALSE(Allows(policy, address)) << address;
  }
  sockaddr unix_address{};
  unix_address.sa_family = AF_UNIX;
  EXPECT_FALSE(policy.Allows(unix_address));
}

TEST(AddressPolicy, AllowsWhatTheOperatorAdds) {
  const AddressPolicy policy = Policy({"10.1.0.0/16", "fd00:1::/32", "127.0.0.1"});
  EXPECT_TRUE(Allows(policy, "10.1.2.3"));
  EXPECT_TRUE(Allows(policy, "::ffff:10.1.2.3"));
  EXPECT_FALSE(Allows(policy, "10.2.0.1"));
  EXPECT_TRUE(Allows(policy, "fd00:1::5"));
  EXPECT_FALSE(Allows(policy, "fd00:2::5"));
  EXPECT_TRUE(Allows(policy, "127.0.0.1"));
  EXPECT_FALSE(Allows(policy, "127.0.0.2"));
}

TEST(AddressPolicy, SpeaksHttpWithLoopbackThatIsAllowedOnly) {
  EXPECT_FALSE(AddressPolicy().AllowsHttp("127.0.0.1"));
  EXPECT_FALSE(AddressPolicy().AllowsHttp("localhost"));
  const AddressPolicy policy = Policy({"127.0.0.0/8", "10.0.0.0/8"});
  EXPECT_TRUE(policy.AllowsHttp("127.0.0.1"));
  EXPECT_TRUE(policy.AllowsHttp("localhost"));
  EXPECT_FALSE(policy.AllowsHttp("[::1]"));
  EXPECT_FALSE(policy.AllowsHttp("10.0.0.1"));
  EXPECT_FALSE(policy.AllowsHttp("127.0.0.1.example"));
}

}  // namespace
}  // namespace allod::address_policy_test
