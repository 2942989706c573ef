#include "services/tenancy/session.h"

#include <gtest/gtest.h>

namespace allod::tenancy::session_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = Time(std::chrono::sys_days(std::chrono::year(2030) / 1 / 1));

Session NewSession() {
  return {.tenant = "ke",
          .id = Uuid::V7(kNow),
          .person = {"corp", "4711"},
          .display_name = "Achieng",
          .members = {"group", "achieng"},
          .client_address = "2001:db8::1",
          .user_agent = "Mozilla/5.0",
          .create_time = kNow,
          .expire_time = kNow + 12h};
}

std::string WhyNot(const Session& session) {
  const auto valid = ValidSession(session);
  return valid ? "" : valid.error().reason;
}

TEST(SessionTest, IsOfAPersonAndADayAtMost) {
  Session session = NewSession();
  EXPECT_EQ(WhyNot(session), "");
  EXPECT_EQ(ValidSession(session)->members, (std::vector<std::string>{"achieng", "group"}));
  for (const std::string& subject : {std::string(), std::string(256, 's'), std::string("a\nb"), std::string("\xff")}) {
    session.person.subject = subject;
    EXPECT_EQ(WhyNot(session), "INVALID_SUBJECT") << subject;
  }
  session = NewSession();
  session.members = {};
  EXPECT_EQ(WhyNot(session), "INVALID_MEMBER");
  session.members = {"a", "b", "a"};
  EXPECT_EQ(WhyNot(session), "INVALID_MEMBER");
  session = NewSession();
  session.expire_time = kNow;
  EXPECT_EQ(WhyNot(session), "INVALID_EXPIRE_TIME");
  session.expire_time = kNow + 24h;
  EXPECT_EQ(WhyNot(session), "");
  session.expire_time += 1us;
  EXPECT_EQ(WhyNot(session), "INVALID_EXPIRE_TIME");
  session = NewSession();
  session.client_address = std::string(65, '1');
  EXPECT_EQ(WhyNot(session), "INVALID_TEXT");
}

TEST(SessionTest, CutsWhatStrangersWrote) {
  Session session = NewSession();
  session.display_name = std::string(127, 'a') + "éé";
  session.user_agent = "a\r\nb\tc\x7f\xc2\x85z" + std::string(1000, 'x');
  const auto valid = ValidSession(session);
  ASSERT_TRUE(valid) << valid.error().message;
  EXPECT_EQ(valid->display_name, std::string(127, 'a') + "é");
  EXPECT_EQ(valid->user_agent.substr(0, 9), "a  b c  z");
  EXPECT_EQ(valid->user_agent.size(), 256U);
  session.display_name = "\xff\xfe";
  EXPECT_EQ(ValidSession(session)->display_name, "");
}

TEST(SessionTest, HoldsUntilItExpiresOrIsEnded) {
  Session session = NewSession();
  EXPECT_TRUE(session.HoldsAt(kNow));
  EXPECT_FALSE(session.HoldsAt(kNow + 12h));
  session.end_time = kNow;
  EXPECT_FALSE(session.HoldsAt(kNow));
}

}  // namespace
}  // namespace allod::tenancy::session_test
