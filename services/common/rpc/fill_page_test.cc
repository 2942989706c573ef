#include "services/common/rpc/fill_page.h"

#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <optional>

namespace allod::fill_page_test {
namespace {

using google::protobuf::StringValue;

class FillPageTest : public testing::Test {
 protected:
  // The token; the items are in items_. A row "-" makes nothing.
  Result<std::string> Fill(const PageRequest& page, const std::vector<std::string>& rows) {
    items_.Clear();
    return FillPage(
        call_, page, rows,
        [](const std::string& row) {
          std::optional<StringValue> out;
          if (row != "-") out.emplace().set_value(row);
          return out;
        },
        [](const std::string& row) { return row.substr(0, 1); }, items_);
  }
  Call call_{Caller::Operator(), Deadline::None(), Trace::New()};
  google::protobuf::RepeatedPtrField<StringValue> items_;
};

TEST_F(FillPageTest, EndsWhereThePageDoes) {
  const auto token = Fill({"list", 2, ""}, {"a", "b", "c"});
  ASSERT_TRUE(token);
  EXPECT_EQ(items_.size(), 2);
  EXPECT_EQ(ParsePage("list", 2, *token)->after, "b");
  EXPECT_EQ(*Fill({"list", 3, ""}, {"a", "b", "c"}), "");
  EXPECT_EQ(items_.size(), 3);
  EXPECT_EQ(*Fill({"list", 3, ""}, {}), "");
}

TEST_F(FillPageTest, EndsBeforeWhatDoesNotFitIntoAMessage) {
  const auto large = [](char first) { return std::string(kPageBytesMax / 2 - 100, first); };
  const auto token = Fill({"list", 10, ""}, {large('a'), large('b'), large('c')});
  ASSERT_TRUE(token);
  EXPECT_EQ(items_.size(), 2);
  EXPECT_EQ(ParsePage("list", 10, *token)->after, "b");
  EXPECT_EQ(*Fill({"list", 10, ""}, {std::string(kPageBytesMax + 1, 'a')}), "") << "one is always given";
  EXPECT_EQ(items_.size(), 1);
}

TEST_F(FillPageTest, PassesOverWhatMakesNothing) {
  const auto token = Fill({"list", 2, ""}, {"a", "-", "c"});
  ASSERT_TRUE(token);
  EXPECT_EQ(items_.size(), 1);
  EXPECT_EQ(ParsePage("list", 2, *token)->after, "-") << "the next page begins after it";
}

TEST_F(FillPageTest, StopsWhenNobodyWaitsForItAnyMore) {
  call_.deadline = Deadline::In(std::chrono::milliseconds(0));
  EXPECT_EQ(Fill({"list", 2, ""}, {"a"}).error().code, Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace allod::fill_page_test
