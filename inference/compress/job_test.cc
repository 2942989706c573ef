// Whole jobs on a model of random weights, made on the spot.

#include "inference/compress/job.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "inference/gguf/rewrite.h"
#include "services/common/owned_fd.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"

namespace allod::inference::compress::job_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class JobTest : public testing::Test {
 protected:
  JobTest() : events_(std::fopen((dir_ / "events").c_str(), "w+"), &std::fclose), out_(events_.get()) {
    test::WriteTinyGguf(model());
    std::string text;
    while (text.size() < 8000) text += "The county clinic opens at eight. Bring the card of the child. ";
    text_ = dir_.Write("text", text);
  }

  fs::path model() const { return dir_ / "model.gguf"; }
  fs::path out(const std::string& type = "") const { return dir_ / ("out-" + type); }
  int Open(const fs::path& path, int flags = O_RDONLY) {
    open_.emplace_back(open(path.c_str(), flags | O_CLOEXEC, 0600));
    return open_.back().get();
  }
  JobOptions Options(const std::string& type = "") {
    return {.input = Open(model()),
            .output = Open(out(type), O_RDWR | O_CREAT),
            .scratch = Open(dir_.path(), O_RDWR | O_TMPFILE),
            .type = type,
            .evaluation_text = Open(text_),
            .threads = 1};
  }
  std::string Events() const {
    std::ifstream in(dir_ / "events");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static bool IsCanonical(const fs::path& file) { return gguf::IsCanonical(file).value_or(false); }
  // What is written over a part of the model file.
  void Damage(std::uintmax_t at, const std::string& bytes) const {
    std::fstream file(model(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  }

  TempDir dir_;
  fs::path text_;
  std::vector<OwnedFd> open_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> events_;
  JobOutput out_;
};

TEST_F(JobTest, InspectTellsWhatTheModelIsAndMeasuresIt) {
  const auto result = Inspect(Options(), out_);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ((*result)["architecture"], "llama");
  EXPECT_GT((*result)["parameter_count"], 10'000);
  EXPECT_EQ((*result)["trained_context_tokens"], 512);
  EXPECT_EQ((*result)["has_chat_template"], true);
  const json& quality = (*result)["quality"];
  EXPECT_EQ(quality["mean_kl_divergence"], 0.0);
  EXPECT_EQ(quality["top1_agreement"], 1.0);
  EXPECT_EQ(quality["perplexity"], quality["source_perplexity"]);
  EXPECT_GT(quality["perplexity"], 1.0);
  EXPECT_GT(quality["evaluated_tokens"], 200);
  EXPECT_GT(quality["decode_tokens_per_second"], 0.0);
  EXPECT_GT(quality["prefill_tokens_per_second"], 0.0);
  EXPECT_EQ(quality["bytes"], fs::file_size(model()));
  EXPECT_EQ(quality["evaluation_text_sha256"].get<std::string>().size(), 64U);
  EXPECT_NE(Events().find("\"measuring\""), std::string::npos);
}

TEST_F(JobTest, InspectRefusesATemplateThatWouldFailAtEveryChat) {
  const auto refusal = [&](const std::string& chat_template) {
    test::WriteTinyGguf(model(), {.chat_template = chat_template});
    const auto result = Inspect(Options(), out_);
    if (result) return std::string("accepted");
    EXPECT_EQ(result.error().reason, "CHAT_TEMPLATE_UNUSABLE");
    return result.error().message;
  };
  // Not closed; the column is where the text ends.
  EXPECT_THAT(refusal("{% for m in messages %}{{ m.content }"), testing::HasSubstr("line 1, column "));
  EXPECT_THAT(refusal("{# a comment #}\n{# and another, so that the place is far from the start #}\n{{ messages }"),
              testing::HasSubstr("line 3, column "));
  EXPECT_THAT(refusal("{% for m in messages %}\n{{ m.content | shout }}{% endfor %}"),
              testing::AllOf(testing::HasSubstr("line 2, column "), testing::HasSubstr("shout")));
  EXPECT_THAT(refusal("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}"),
              testing::HasSubstr("too much"));
  EXPECT_THAT(refusal("{{ raise_exception('never') }}"), testing::HasSubstr("never"));
  // Nothing to answer: every chat would be an empty prompt, or always the same one.
  EXPECT_THAT(refusal("{{ ''.__class__.__mro__ }}"), testing::HasSubstr("renders nothing"));
  EXPECT_THAT(refusal("{# no messages #}"), testing::HasSubstr("renders nothing"));
  EXPECT_THAT(refusal("{% for m in messages %}{{ m.role }}: {% endfor %}assistant:"),
              testing::HasSubstr("the message's text is not in what it renders"));
  // Longer than the 512 tokens that the model was trained for, whatever is asked.
  std::string long_preamble;
  for (int i = 0; i < 600; ++i) long_preamble += "clinic ";
  EXPECT_THAT(refusal("{% for m in messages %}" + long_preamble + "{{ m.content }}{% endfor %}"),
              testing::HasSubstr("no room for an answer in the 512 that the model was trained for"));
  EXPECT_THAT(refusal("{{ messages[0].content }}{% for i in range(600) %}{{ bos_token }}{% endfor %}"),
              testing::HasSubstr("no room for an answer"));
  // Chats without a system message are chats.
  EXPECT_EQ(refusal("{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
                    "{{ m.content }}{% endfor %}"),
            "accepted");
  EXPECT_EQ(refusal(""), "accepted") << "ChatML is used";
}

TEST_F(JobTest, InspectWritesTheCanonicalFormOfAFileThatIsNot) {
  JobOptions options = Options();
  const auto result = Inspect(options, out_);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ((*result)["kv_bytes_per_token"], 2 * 2 * 16 * 2 * 2);
  EXPECT_TRUE(IsCanonical(out()));
  EXPECT_EQ((*result)["artifact_bytes"], fs::file_size(out()));
  options.input = options.output;
  options.output = Open(dir_ / "not needed", O_RDWR | O_CREAT);
  const auto again = Inspect(options, out_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)["artifact_sha256"], (*result)["artifact_sha256"]);
  EXPECT_EQ(fs::file_size(dir_ / "not needed"), 0U);
}

TEST_F(JobTest, AnInspectionThatFailsLeavesNothing) {
  JobOptions options = Options();
  options.evaluation_text = -1;
  EXPECT_EQ(Inspect(options, out_).error().reason, "EVALUATION_TEXT_UNREADABLE");
  EXPECT_EQ(fs::file_size(out()), 0U);
  // The model, the text, the events and the output.
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 4);
}

TEST_F(JobTest, WhatIsPublishedIsCanonicalAndNothingElseIsLeft) {
  const auto result = Compress(Options("Q4_0"), out_);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE(IsCanonical(dir_ / "out-Q4_0"));
  // The model, the text, the events and the output.
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 4);
}

TEST_F(JobTest, FewerBitsAreFewerBytesAndFartherFromTheSource) {
  const auto q8 = Compress(Options("Q8_0"), out_);
  ASSERT_TRUE(q8) << q8.error().message;
  const auto q2 = Compress(Options("Q2_K"), out_);
  ASSERT_TRUE(q2) << q2.error().message;
  const json& best = (*q8)["quality"];
  const json& least = (*q2)["quality"];
  EXPECT_GT(best["mean_kl_divergence"], 0.0);
  EXPECT_LT(best["mean_kl_divergence"], least["mean_kl_divergence"]);
  EXPECT_GE(best["top1_agreement"], least["top1_agreement"]);
  EXPECT_GT(best["bits_per_weight"], least["bits_per_weight"]);
  EXPECT_EQ(best["source_perplexity"], least["source_perplexity"]);
  EXPECT_LT(fs::file_size(dir_ / "out-Q2_K"), fs::file_size(dir_ / "out-Q8_0"));
  EXPECT_EQ((*q8)["artifact_bytes"], fs::file_size(dir_ / "out-Q8_0"));
  // Rows of 64 hold no block of 256, so what was used is the nearest type that fits, and it shows.
  EXPECT_TRUE((*q2)["tensor_types"].contains("Q4_0")) << (*q2)["tensor_types"].dump();
  EXPECT_FALSE((*q2)["tensor_types"].contains("Q2_K"));
}

TEST_F(JobTest, EveryTypeOnOfferWorks) {
  for (const char* type : {"Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "IQ4_NL"}) {
    const auto result = Compress(Options(type), out_);
    ASSERT_TRUE(result) << type << ": " << result.error().message;
    EXPECT_LT((*result)["quality"]["mean_kl_divergence"], 5.0) << type;
  }
}

TEST_F(JobTest, AWidthThatNoBlockFitsKeepsItsPrecision) {
  test::WriteTinyGguf(model(), {.embedding = 48, .feed_forward = 80});
  const auto result = Compress(Options("Q4_K_M"), out_);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_TRUE((*result)["tensor_types"].contains("F16")) << (*result)["tensor_types"].dump();
}

TEST_F(JobTest, ACompressedModelCanBeCompressedAgain) {
  ASSERT_TRUE(Compress(Options("Q8_0"), out_));
  JobOptions again = Options("Q4_0");
  again.input = Open(out("Q8_0"));
  const auto result = Compress(again, out_);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_GT((*result)["quality"]["mean_kl_divergence"], 0.0);
}

TEST_F(JobTest, ATruncatedFileIsRefusedAndNothingIsLeft) {
  fs::resize_file(model(), fs::file_size(model()) - 1000);
  const auto result = Compress(Options("Q8_0"), out_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(result.error().reason.starts_with("GGUF_")) << result.error().reason;
  EXPECT_EQ(fs::file_size(out("Q8_0")), 0U);
}

TEST_F(JobTest, WeightsThatAreNoNumbersAreRefused) {
  Damage(fs::file_size(model()) - 512, std::string(256, '\xff'));
  for (const auto& result : {Inspect(Options(), out_), Compress(Options("Q8_0"), out_)}) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().reason, "GGUF_BAD_WEIGHTS") << result.error().message;
    EXPECT_EQ(fs::file_size(out("Q8_0")), 0U);
  }
}

TEST_F(JobTest, RefusesAnUnknownTypeAMissingTextAndItsInputAsOutput) {
  EXPECT_EQ(Compress(Options("Q9_9"), out_).error().reason, "UNKNOWN_COMPRESSION");
  JobOptions options = Options("Q8_0");
  options.evaluation_text = Open(dir_.path(), O_DIRECTORY);
  EXPECT_EQ(Compress(options, out_).error().reason, "EVALUATION_TEXT_UNREADABLE");
  EXPECT_EQ(fs::file_size(out("Q8_0")), 0U);
  options = Options("Q8_0");
  const auto bytes = fs::file_size(model());
  options.output = Open(model(), O_RDWR);
  EXPECT_EQ(Compress(options, out_).error().reason, "OUTPUT_IS_INPUT");
  EXPECT_EQ(fs::file_size(model()), bytes);
  options = Options("Q8_0");
  options.evaluation_text = Open(dir_.Write("short", "Hi"));
  EXPECT_EQ(Inspect(options, out_).error().reason, "EVALUATION_TEXT_TOO_SHORT");
}

TEST_F(JobTest, TheProgramEndsWithThreeAndTheReasonOnItsLastLine) {
  Damage(0, "JUNK");
  const std::string program = std::string(std::getenv("ALLOD_BUILD_DIR")) + "/bin/allod-compress";
  const std::string command =
      "exec " + program + " inspect 4<" + model().string() + " 5<" + text_.string() + " 6<>" + out().string();
  const Finished finished = RunToEnd({"/bin/sh", "-c", command}, std::chrono::seconds(60), {.output = dir_ / "output"});
  EXPECT_EQ(finished.status, 3);
  EXPECT_NE(finished.output.find("{\"error\":{\"code\":\"INVALID_ARGUMENT\""), std::string::npos) << finished.output;
  EXPECT_NE(finished.output.find("GGUF_"), std::string::npos);
  EXPECT_NE(finished.output.find("{\"layers\":["), std::string::npos) << "it was confined first";
  EXPECT_EQ(RunToEnd({program, "inspect", "--threads", "none"}, std::chrono::seconds(60)).status, 2);
  EXPECT_EQ(RunToEnd({program, "inspect"}, std::chrono::seconds(60)).status, 3) << "no model at its descriptor";
}

// The whole of both jobs, as the agent would have them done, in the strictest sandbox that this host and user give.
TEST_F(JobTest, TheProgramWorksOnDescriptorsAlone) {
  const std::string program = std::string(std::getenv("ALLOD_BUILD_DIR")) + "/bin/allod-compress";
  const std::string files = " 4<" + model().string() + " 5<" + text_.string() + " 6<>" + out().string() + " 7<>" +
                            (dir_ / "scratch").string();
  for (const char* job : {" compress --type Q4_0 --threads 2", " inspect --threads 1"}) {
    const Finished finished = RunToEnd({"/bin/sh", "-c", "exec " + program + job + files}, std::chrono::seconds(120),
                                       {.output = dir_ / "output"});
    EXPECT_EQ(finished.status, 0) << finished.output;
    EXPECT_NE(finished.output.find("{\"result\":{"), std::string::npos) << finished.output;
    for (const char* layer : {"no_capabilities", "no_new_privs", "not_dumpable", "rlimits", "seccomp"}) {
      EXPECT_NE(finished.output.find(layer), std::string::npos) << layer << " is missing: " << finished.output;
    }
    EXPECT_TRUE(IsCanonical(out()));
  }
}

}  // namespace
}  // namespace allod::inference::compress::job_test
