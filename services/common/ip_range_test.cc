#include "services/common/ip_range.h"

#include <gtest/gtest.h>

#include <random>

namespace allod::ip_range_test {
namespace {

IpAddress Address(std::string_view text) { return IpAddress::Parse(text).value(); }
IpRange Range(std::string_view text) { return IpRange::Parse("range", text).value(); }

TEST(IpAddress, TakesWhatIsOneAndNothingElse) {
  EXPECT_EQ(Address("192.0.2.7").ToString(), "192.0.2.7");
  EXPECT_EQ(Address("2001:DB8:0:0:0:0:0:1").ToString(), "2001:db8::1");
  EXPECT_EQ(Address("::ffff:192.0.2.7").ToString(), "192.0.2.7") << "the IPv4 address that it is";
  EXPECT_EQ(Address("::ffff:c000:207"), Address("192.0.2.7"));
  for (const std::string_view text :
       {"", " ", "192.0.2", "192.0.2.256", "192.0.2.07", "0x7f.1", "192.0.2.7 ", " 192.0.2.7", "192.0.2.7:80", "[::1]",
        "fe80::1%eth0", "localhost", "1::2::3", "12345::", "2130706433", "::ffff:192.0.2.7/128"}) {
    EXPECT_FALSE(IpAddress::Parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("192.0.2.7\0.1", 12)));
  EXPECT_FALSE(IpAddress::Parse(std::string(1000, '1')));
}

TEST(IpRange, HasOneTextWhateverWasWritten) {
  for (const auto& [text, canonical] :
       std::initializer_list<std::pair<const char*, const char*>>{{"192.0.2.0/24", "192.0.2.0/24"},
                                                                  {"192.0.2.7", "192.0.2.7/32"},
                                                                  {"0.0.0.0/0", "0.0.0.0/0"},
                                                                  {"2001:0DB8::/32", "2001:db8::/32"},
                                                                  {"::1", "::1/128"},
                                                                  {"::/0", "::/0"},
                                                                  {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
                                                                  {"::ffff:0:0/96", "0.0.0.0/0"}}) {
    EXPECT_EQ(Range(text).ToString(), canonical) << text;
    EXPECT_EQ(Range(Range(text).ToString()), Range(text));
  }
}

TEST(IpRange, RefusesWhatIsNoneAndSaysWhatWasMeant) {
  for (const std::string_view text : {"", "/", "/24", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+8",
                                      "192.0.2.0/08", "192.0.2.0/24/8", "192.0.2.0/24 ", "::/129", "::/", "10/8",
                                      "192.0.2.0/255.255.255.0", "192.0.2.0/99999999999", "example.org/24"}) {
    const auto range = IpRange::Parse("ranges[2]", text);
    ASSERT_FALSE(range) << text;
    EXPECT_EQ(range.error().reason, "INVALID_IP_RANGE");
    EXPECT_TRUE(range.error().message.starts_with("ranges[2]: ")) << range.error().message;
  }
  for (const auto& [text, meant] : std::initializer_list<std::pair<const char*, const char*>>{
           {"192.0.2.7/24", "192.0.2.0/24"}, {"10.1.2.3/8", "10.0.0.0/8"}, {"2001:db8::1/32", "2001:db8::/32"}}) {
    const auto range = IpRange::Parse("range", text);
    ASSERT_FALSE(range) << text;
    EXPECT_NE(range.error().message.find(meant), std::string::npos) << range.error().message;
  }
}

TEST(IpRange, ContainsByItsPrefixAndWithinItsFamily) {
  EXPECT_TRUE(Range("192.0.2.0/24").Contains(Address("192.0.2.255")));
  EXPECT_FALSE(Range("192.0.2.0/24").Contains(Address("192.0.3.0")));
  EXPECT_TRUE(Range("192.0.2.0/24").Contains(Address("::ffff:192.0.2.1")));
  EXPECT_FALSE(Range("::/0").Contains(Address("192.0.2.1")));
  EXPECT_FALSE(Range("0.0.0.0/0").Contains(Address("::1")));
  EXPECT_TRUE(Range("2001:db8::/33").Contains(Address("2001:db8:7fff::1")));
  EXPECT_FALSE(Range("2001:db8::/33").Contains(Address("2001:db8:8000::1")));
  EXPECT_TRUE(Range("10.0.0.0/8").Contains(Range("10.2.0.0/16")));
  EXPECT_TRUE(Range("10.0.0.0/8").Contains(Range("10.0.0.0/8")));
  EXPECT_FALSE(Range("10.2.0.0/16").Contains(Range("10.0.0.0/8")));
  EXPECT_FALSE(Range("::/0").Contains(Range("10.0.0.0/8")));
}

TEST(IpRange, ARangeWithinAnotherHasNoAddressThatTheOtherHasNot) {
  std::mt19937 random(7);
  const auto range = [&] {
    const std::uint32_t bits = random() % 33;
    const std::uint32_t mask = bits == 0 ? 0 : ~0U << (32 - bits);
    // Few first bytes, so that ranges meet.
    const std::uint32_t address = ((10 + random() % 2) << 24 | (random() & 0xffffff)) & mask;
    return Range(std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
                 std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255) + "/" + std::to_string(bits));
  };
  int within = 0;
  for (int i = 0; i < 20'000; ++i) {
    const IpRange outer = range();
    const IpRange inner = range();
    if (!outer.Contains(inner)) continue;
    ++within;
    for (int probe = 0; probe < 20; ++probe) {
      const std::uint32_t a = random();
      const IpAddress address = Address(std::to_string(10 + (a >> 24) % 2) + "." + std::to_string(a >> 16 & 255) + "." +
                                        std::to_string(a >> 8 & 255) + "." + std::to_string(a & 255));
      ASSERT_TRUE(!inner.Contains(address) || outer.Contains(address));
    }
  }
  EXPECT_GT(within, 1000);
}

TEST(ParseIpRanges, SortsNamesTheOneThatIsNoneAndBoundsTheirNumber) {
  const std::vector<std::string> texts = {"192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/24"};
  const auto ranges = ParseIpRanges("ranges", texts, 3);
  ASSERT_TRUE(ranges);
  EXPECT_EQ(*ranges, (std::vector<IpRange>{Range("10.0.0.0/8"), Range("192.0.2.0/24")}));
  EXPECT_EQ(ParseIpRanges("ranges", texts, 2).error().reason, "TOO_MANY_IP_RANGES");
  const std::vector<std::string> bad = {"10.0.0.0/8", "x"};
  EXPECT_TRUE(ParseIpRanges("ranges", bad, 3).error().message.starts_with("ranges[1]: "));
  EXPECT_TRUE(AnyContains(*ranges, Address("10.9.9.9")));
  EXPECT_FALSE(AnyContains(*ranges, Address("11.0.0.0")));
}

}  // namespace
}  // namespace allod::ip_range_test
