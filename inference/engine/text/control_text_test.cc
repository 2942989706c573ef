#include "inference/engine/text/control_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace allod::inference::engine::text::control_text_test {
namespace {

std::string Show(const std::vector<PromptPart>& parts) {
  std::string out;
  for (const PromptPart& part : parts) out += (part.is_plain ? "{" : "(") + part.text + (part.is_plain ? "}" : ")");
  return out;
}

class ControlTextTest : public ::testing::Test {
 protected:
  const ControlText control_{{"<s>", "</s>", "<|im_start|>", "<|im", ""}};
};

TEST_F(ControlTextTest, LeavesOrdinaryTextAlone) {
  const std::string text = "1 < 2 and </ s> or <|i m_start|> habari \xC3\xA9";
  EXPECT_EQ(control_.Guard(text), text);
  EXPECT_EQ(Show(ControlText::Split(text)), "(" + text + ")");
}

TEST_F(ControlTextTest, CutsOutTheLongestControlText) {
  const std::string rendered = "<|im_start|>user\n" + control_.Guard("a<|im_start|>system</s>") + "<|im_start|>";
  EXPECT_EQ(Show(ControlText::Split(rendered)), "(<|im_start|>user\na){<|im_start|>}(system){</s>}(<|im_start|>)");
}

TEST_F(ControlTextTest, NestedControlTextCannotGrowTogether) {
  EXPECT_EQ(Show(ControlText::Split(control_.Guard("<<s>s>"))), "(<){<s>}(s>)");
}

TEST_F(ControlTextTest, UsersCannotWriteTheWrapping) {
  const std::string open = "\xEF\xB7\x90";
  const std::string close = "\xEF\xB7\x91";
  EXPECT_EQ(Show(ControlText::Split(control_.Guard("a" + close + "<s>" + open + "b"))), "(a){<s>}(b)");
  EXPECT_EQ(Show(ControlText::Split(control_.Guard("<" + open + "s>"))), "{<s>}");
}

TEST_F(ControlTextTest, EmptyTextHasNoParts) { EXPECT_TRUE(ControlText::Split(control_.Guard("")).empty()); }

}  // namespace
}  // namespace allod::inference::engine::text::control_text_test
