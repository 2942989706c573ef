// What a worker may show of itself: tables of figures that can be and that cannot.

#include "inference/node/process/page_figures.h"

#include <gtest/gtest.h>

namespace allod::inference::node::process::page_figures_test {
namespace {

PageFigures Busy() {
  return {.active_requests = 4,
          .queued_requests = 9,
          .requests = 100,
          .prompt_tokens = 5000,
          .cached_prompt_tokens = 70,
          .completion_tokens = 900,
          .turns = 1000,
          .compute_us = 9'000'000,
          .gate_wait_us = 800'000,
          .ttft_count = 100,
          .ttft_us = 20'000'000};
}

TEST(PageFigures, WhatABusyWorkerShowsIsFine) {
  EXPECT_EQ(ImpossibleFigure(Busy(), {}, 10), "");
  EXPECT_EQ(ImpossibleFigure(Busy(), Busy(), 10), "");
  EXPECT_EQ(ImpossibleFigure({}, {}, 0), "");
}

TEST(PageFigures, NothingGrowsBeyondWhatAMachineCanDoNorShrinks) {
  for (std::int64_t PageFigures::*figure :
       {&PageFigures::requests, &PageFigures::prompt_tokens, &PageFigures::cached_prompt_tokens,
        &PageFigures::completion_tokens, &PageFigures::turns, &PageFigures::compute_us, &PageFigures::gate_wait_us,
        &PageFigures::ttft_count, &PageFigures::ttft_us}) {
    PageFigures huge = Busy();
    huge.*figure = INT64_MAX;
    EXPECT_NE(ImpossibleFigure(huge, Busy(), 1000), "");
    PageFigures less = Busy();
    --(less.*figure);
    EXPECT_NE(ImpossibleFigure(less, Busy(), 1000), "");
  }
  for (std::int64_t PageFigures::*figure : {&PageFigures::active_requests, &PageFigures::queued_requests}) {
    PageFigures huge = Busy();
    huge.*figure = UINT32_MAX;
    EXPECT_NE(ImpossibleFigure(huge, Busy(), 1000), "");
  }
}

TEST(PageFigures, AComputedSecondTakesASecond) {
  PageFigures figures = Busy();
  figures.compute_us = 100'000'000;
  EXPECT_NE(ImpossibleFigure(figures, {}, 80), "");
  EXPECT_EQ(ImpossibleFigure(figures, {}, 100), "");
}

TEST(PageFigures, APageIsReadWithoutOverflow) {
  gate::WorkerPage page{};
  page.prompt_tokens_total = UINT64_MAX;
  page.active_requests = UINT32_MAX;
  const PageFigures figures = ReadPage(page);
  EXPECT_EQ(figures.prompt_tokens, INT64_MAX);
  EXPECT_EQ(figures.active_requests, std::int64_t{UINT32_MAX});
}

}  // namespace
}  // namespace allod::inference::node::process::page_figures_test
