#include "inference/engine/chat/plain_tool_calls.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace allod::inference::engine::chat::plain_tool_calls_test {
namespace {

TEST(PlainCall, IsReadAsItIsWritten) {
  const std::string whole = R"({"name": "f", "arguments": {"a": "}\"{", "b": [1]}})";
  for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    const PlainCall call = ReadPlainCall(std::string_view(whole).substr(0, bytes));
    EXPECT_TRUE(call.may_be_one) << bytes;
    EXPECT_EQ(call.name.value_or("f"), "f");
  }
  EXPECT_EQ(ReadPlainCall(whole).arguments, R"({"a": "}\"{", "b": [1]})");
  EXPECT_FALSE(ReadPlainCall("Hello").may_be_one);
  EXPECT_FALSE(ReadPlainCall(R"({"title": 1})").may_be_one);
}

}  // namespace
}  // namespace allod::inference::engine::chat::plain_tool_calls_test
