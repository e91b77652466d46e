#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <thread>

#include "base/error.h"
#include "fixtures.h"
#include "model/backbone.h"

namespace cachectl::model {
namespace {

using fixtures::images;
using fixtures::options_for;
using testing::ElementsAre;

std::vector<std::string> names_of(const Backbone& backbone) {
  std::vector<std::string> names;
  for (const Candidate& candidate : backbone.candidates()) names.push_back(candidate.name);
  return names;
}

at::Tensor by_libtorch(const fixtures::ScriptFile& file, const at::Tensor& x) {
  const c10::NoGradGuard no_grad;
  return torch::jit::load(file.path()).forward({x}).toTensor();
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Candidates, AreTheOutputsOfModulesAndBlocksWithNothingElseAlive) {
  const auto file = fixtures::residual_net();
  auto options = options_for(file);
  options.min_share_left = 0;
  const auto backbone = Backbone::load(options, {images(4)});
  EXPECT_THAT(names_of(*backbone), ElementsAre("stem", "layer1.block0", "layer1.block1",
                                               "layer2.block0", "layer2.block1"));
  EXPECT_THAT(backbone->candidates()[1].shape, ElementsAre(16, 8, 8));
  EXPECT_EQ(backbone->candidates()[1].bytes_per_sample, 16 * 8 * 8 * 4);
  EXPECT_EQ(backbone->num_classes(), 10);
  EXPECT_THAT(backbone->input_shapes(), ElementsAre(ElementsAre(3, 8, 8)));
}

TEST(Candidates, WithTooLittleWorkBehindThemAreDropped) {
  const auto file = fixtures::residual_net();
  auto options = options_for(file);
  options.min_share_left = 0.3;
  const auto backbone = Backbone::load(options, {images(4)});
  EXPECT_THAT(names_of(*backbone), ElementsAre("stem", "layer1.block0", "layer1.block1"));
  EXPECT_EQ(backbone->costs().size(), 4u);
}

TEST(Candidates, OfAllCutsNeverLieBesideALiveResidual) {
  const auto file = fixtures::residual_net();
  auto options = options_for(file);
  options.names = "all";
  options.min_share_left = 0;
  const auto backbone = Backbone::load(options, {images(4)});
  const auto names = names_of(*backbone);
  EXPECT_GT(names.size(), 5u);
  const at::Tensor x = images(6), whole = backbone->run({x});
  EXPECT_LT(difference(backbone->cut(names).run({x}), whole), 1e-5);
}

TEST(Candidates, AnUnknownNameIsAnsweredWithTheNearest) {
  const auto file = fixtures::residual_net();
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  try {
    (void)backbone->cut({"layer1.blok0"});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIncompatible);
    EXPECT_THAT(error.what(), testing::HasSubstr("did you mean 'layer1.block0'"));
  }
}

TEST(Segments, GiveTheBackbonesResultForAnyBatchSizeInAnyOrder) {
  const auto file = fixtures::residual_net();
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  const SegmentChain chain = backbone->cut(names_of(*backbone));
  ASSERT_EQ(chain.size(), backbone->candidates().size() + 1);
  for (const std::int64_t rows : {1, 512, 3, 64, 100, 2, 65, 1, 31, 7}) {
    const at::Tensor x = images(rows), expected = by_libtorch(file, x);
    EXPECT_LT(difference(backbone->run({x}), expected), 1e-5) << rows;
    EXPECT_LT(difference(chain.run({x}), expected), 1e-5) << rows;
  }
}

TEST(Segments, GoOnWithAnyRowsOfAnActivation) {
  const auto file = fixtures::residual_net();
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  const SegmentChain chain = backbone->cut({"layer1.block1", "stem", "layer2.block0"});
  EXPECT_THAT(chain.candidates(), ElementsAre("stem", "layer1.block1", "layer2.block0"));
  const at::Tensor x = images(9);
  const at::Tensor expected = by_libtorch(file, x);
  at::Tensor ids = at::arange(9, at::kLong);
  Tensors live = {x};
  for (std::size_t i = 0; i < chain.size(); ++i) {
    live = chain.run(i, live);
    if (i + 1 == chain.size()) break;
    const at::Tensor stay = at::arange(ids.size(0) - 1, -1, -2, at::kLong);  // fewer, turned around
    live = {live[0].index_select(0, stay)};
    ids = ids.index_select(0, stay);
  }
  EXPECT_LT(difference(live[0], expected.index_select(0, ids)), 1e-5);
}

TEST(Segments, RowsKeepTheLayout) {
  const at::Tensor x = images(6), index = at::tensor({5, 0, 3}, at::kLong);
  const at::Tensor last = x.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(at::equal(select_rows(last, index), x.index_select(0, index)));
  EXPECT_TRUE(select_rows(last, index).is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(select_rows(x, index).is_contiguous());
}

TEST(Segments, NeverChangeWhatTheyAreGiven) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    x -= 0.5
    y = torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1)
    y.relu_()
    z = torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1)
    z.add_(1.0)
    y = torch.conv2d(z.relu_(), self.v, None, [1, 1], [1, 1], [1, 1], 1)
    return torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))
)");
  auto options = options_for(file);
  options.names = "all";
  for (const char* format : {"auto", "contiguous"}) {
    options.memory_format = format;
    const auto backbone = Backbone::load(options, {images(4)});
    const SegmentChain chain = backbone->cut(names_of(*backbone));
    ASSERT_GT(chain.size(), 2u);
    const at::Tensor x = images(5), before = x.clone(), expected = by_libtorch(file, x.clone());
    Tensors live = {x};
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const at::Tensor kept = live[0], copy = kept.clone();
      live = chain.run(i, live);
      EXPECT_TRUE(at::equal(kept, copy)) << format << ", segment " << i;
    }
    EXPECT_TRUE(at::equal(x, before));
    EXPECT_LT(difference(live[0], expected), 1e-5);
  }
}

TEST(Segments, RunConcurrently) {
  const auto file = fixtures::residual_net();
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  const SegmentChain chain = backbone->cut(names_of(*backbone));
  const at::Tensor x = images(40), expected = by_libtorch(file, x);
  std::vector<double> worst(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < worst.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t rows = 1; rows <= 40; rows += 3) {
        const at::Tensor part = x.slice(0, 0, rows);
        const at::Tensor got = t % 2 ? chain.run({part}) : backbone->run({part});
        worst[t] = std::max(worst[t], difference(got, expected.slice(0, 0, rows)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const double w : worst) EXPECT_LT(w, 1e-5);
}

TEST(Segments, RebuildSizesThatCrossACut) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    n = x.size(0)
    h = x.size(2)
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.mean(torch.reshape(y, [n * 4, h * h]), [1])
    return torch.matmul(torch.reshape(y, [n, 4]), torch.t(self.f))
)");
  auto options = options_for(file);
  options.names = "all";
  const auto backbone = Backbone::load(options, {images(4)});
  EXPECT_GE(backbone->candidates().size(), 2u);
  const SegmentChain chain = backbone->cut(names_of(*backbone));
  const at::Tensor x = images(7);
  EXPECT_LT(difference(chain.run({x}), by_libtorch(file, x)), 1e-5);
}

TEST(Segments, KeepControlFlowInOnePiece) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    if bool(torch.gt(torch.max(y), 1e6)):
        y = torch.mul(y, 0.5)
    for i in range(int(torch.floor(torch.max(torch.mul(y, 0.0)))) + 2):
        y = torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1))
    return torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))
)");
  auto options = options_for(file);
  options.names = "all";
  const auto backbone = Backbone::load(options, {images(4)});
  EXPECT_FALSE(backbone->candidates().empty());
  const SegmentChain chain = backbone->cut(names_of(*backbone));
  const at::Tensor x = images(7);
  EXPECT_LT(difference(chain.run({x}), by_libtorch(file, x)), 1e-5);
  // 3 x 3 convolutions on 8 x 8: 3 -> 4 once, 4 -> 4 three times, the loop's included.
  double macs = 0;
  for (const auto& cost : backbone->costs()) macs += cost.macs;
  EXPECT_EQ(macs, 64 * 9 * (3 * 4 + 3 * 4 * 4) + 4 * 5);
}

// Writes inside a branch or a loop have no other value that depends on them.
TEST(Segments, KeepWhatBranchesAndLoopsWrite) {
  const char* const kBodies[] = {R"(
    if bool(torch.gt(torch.max(y), 0.5)):
        torch.clamp_(y, None, 0.5)
    y = torch.mean(y, [2, 3])
)",
                                 R"(
    z = torch.zeros_like(y)
    for i in range(y.size(2)):
        z[:, :, i] = torch.mul(y[:, :, i], 2.0 + float(i))
    y = torch.mean(z, [2, 3])
)",
                                 R"(
    parts = [y[:, :, 0]]
    for i in range(y.size(2)):
        parts.append(torch.mul(y[:, :, i], 1.0 + float(i)))
    y = torch.mean(torch.stack(parts, 2), [2, 3])
)"};
  for (const char* body : kBodies) {
    const auto file =
        fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1)))" +
                               std::string(body) + "    return torch.matmul(y, torch.t(self.f))\n");
    auto options = options_for(file);
    options.names = "all";
    options.min_share_left = 0;
    // Too little to be written by the rows that it is loaded with.
    const auto backbone = Backbone::load(options, {images(4) * 0.01});
    const SegmentChain chain = backbone->cut(names_of(*backbone));
    const at::Tensor x = images(7) * 10;
    EXPECT_LT(difference(chain.run({x}), by_libtorch(file, x)), 1e-4) << body;
    EXPECT_LT(difference(backbone->run({x}), by_libtorch(file, x)), 1e-4) << body;
  }
}

// The last thing that a program does may be to change what it returns.
TEST(Segments, KeepWhatIsWrittenToTheOutputAtLast) {
  const char* const kEnds[] = {"    z[:, 0].clamp_(None, 0.01)\n",
                               "    if bool(torch.gt(torch.max(z), 0.01)):\n"
                               "        z.clamp_(-0.01, 0.01)\n",
                               "    z[:, 3] = 0.5\n"};
  for (const char* end : kEnds) {
    const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1))
    z = torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))
)" + std::string(end) + "    return z\n");
    auto options = options_for(file);
    options.names = "all";
    options.min_share_left = 0;
    const auto backbone = Backbone::load(options, {images(4) * 0.001});
    const SegmentChain chain = backbone->cut(names_of(*backbone));
    EXPECT_GT(chain.size(), 1u) << end;
    const at::Tensor x = images(7) * 10, expected = by_libtorch(file, x);
    EXPECT_LT(difference(backbone->run({x}), expected), 1e-4) << end;
    EXPECT_LT(difference(chain.run({x}), expected), 1e-4) << end;
  }
}

// What a few batches have in common need not hold for others.
TEST(Segments, DoNotTakeForAFactWhatHangsOnTheDataOrOnTheSizeOfTheBatch) {
  const char* const kBodies[] = {
      // The sizes of what was picked by its values.
      "    high = torch.nonzero(torch.gt(y, 6.0))\n"
      "    if high.size(0) > 0:\n"
      "        y = torch.clamp(y, None, 6.0)\n",
      "    high = y[torch.gt(y, 6.0)]\n"
      "    if high.numel() > 0:\n"
      "        y = torch.mul(y, 0.5)\n",
      // A limit, and the number of pieces.
      "    if x.size(0) > 16:\n"
      "        y = torch.mul(y, 2.0)\n",
      "    parts = []\n"
      "    for i in range(0, y.size(0), 32):\n"
      "        parts.append(torch.mul(y[i:i + 32], 3.0))\n"
      "    y = torch.cat(parts)\n",
      "    y = torch.mul(y, float(min(y.size(0), 8)) / float(y.size(0)))\n"};
  for (const char* body : kBodies) {
    const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
)" + std::string(body) + R"(
    y = torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1))
    return torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))
)");
    auto options = options_for(file);
    options.names = "all";
    options.min_share_left = 0;
    const auto backbone = Backbone::load(options, {images(4) * 0.001});
    const SegmentChain chain = backbone->cut(names_of(*backbone));
    for (const std::int64_t rows : {3, 70}) {
      const at::Tensor x = images(rows) * 20, expected = by_libtorch(file, x);
      const double least = 1e-5 * std::max(1.0, expected.abs().max().item<double>());
      EXPECT_LT(difference(backbone->run({x}), expected), least) << body << rows;
      EXPECT_LT(difference(chain.run({x}), expected), least) << body << rows;
    }
  }
}

TEST(Segments, AnswersThatAreNotOneForEachSampleAreRefused) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x[0:8], self.w, None, [1, 1], [1, 1], [1, 1], 1))
    return torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))
)");
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  EXPECT_EQ(backbone->run({images(8)}).size(0), 8);
  try {
    (void)backbone->run({images(9)});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIncompatible);
    EXPECT_THAT(error.what(), testing::HasSubstr("8x5 for 9 samples"));
  }
}

// As LeNet and many others flatten.
TEST(Segments, TakeAViewOfWhatAConvolutionLeft) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.max_pool2d(torch.relu(torch.conv2d(y, self.v, None, [1, 1], [1, 1], [1, 1], 1)), [4, 4])
    z = y.view(y.size(0), -1)
    return torch.matmul(z[:, 0:4] + z[:, 8:12], torch.t(self.f))
)");
  auto options = options_for(file);
  options.names = "all";
  const auto backbone = Backbone::load(options, {images(4)});
  const SegmentChain chain = backbone->cut(names_of(*backbone));
  for (const std::int64_t rows : {1, 7}) {
    const at::Tensor x = images(rows);
    EXPECT_LT(difference(backbone->run({x}), by_libtorch(file, x)), 1e-5);
    EXPECT_LT(difference(chain.run({x}), by_libtorch(file, x)), 1e-5);
  }
}

// What the interpreter throws is told as any other fault of a file for its data.
TEST(Segments, SayWhichOfThemFailed) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    place = torch.clamp(torch.floor(torch.max(y)), 0.0, 90.0)
    z = torch.matmul(torch.mean(y, [2, 3]), torch.t(self.f))
    return z + torch.select(self.f, 0, int(place))[0:1] * 0.0
)");
  const auto backbone = Backbone::load(options_for(file), {images(4) * 0.01});
  try {
    (void)backbone->run({images(3) * 1000});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIncompatible);
    EXPECT_THAT(error.what(), testing::HasSubstr("the last segment"));
  }
}

TEST(Segments, TakeTheBranchOfASampleAlone) {
  const auto file = fixtures::with_forward(R"(
def forward(self, x):
    y = torch.relu(torch.conv2d(x, self.w, None, [1, 1], [1, 1], [1, 1], 1))
    y = torch.squeeze(torch.adaptive_avg_pool2d(y, [1, 1]))
    if y.dim() == 1:
        y = torch.unsqueeze(y, 0)
    return torch.matmul(y, torch.t(self.f))
)");
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  for (const std::int64_t rows : {1, 2, 5}) {
    const at::Tensor x = images(rows);
    const at::Tensor found = backbone->cut(names_of(*backbone)).run({x});
    ASSERT_EQ(found.dim(), 2);
    EXPECT_LT(difference(found, by_libtorch(file, x)), 1e-5);
  }
}

TEST(Segments, InBfloat16StayNearTheFloatResult) {
  const auto file = fixtures::residual_net();
  auto options = options_for(file);
  options.precision = "bfloat16";
  const auto backbone = Backbone::load(options, {images(4)});
  EXPECT_EQ(backbone->candidates()[0].dtype, at::kBFloat16);
  const at::Tensor x = images(6), expected = by_libtorch(file, x);
  const at::Tensor got = backbone->cut(names_of(*backbone)).run({x});
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  EXPECT_LT(difference(got, expected), 0.05 * expected.abs().max().item<double>());
}

TEST(Segments, RefuseInputsOfOtherSizes) {
  const auto file = fixtures::residual_net();
  const auto backbone = Backbone::load(options_for(file), {images(4)});
  try {
    (void)backbone->run({images(2, 16)});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIncompatible);
    EXPECT_THAT(error.what(), testing::HasSubstr("2x3x16x16"));
    EXPECT_THAT(error.what(), testing::HasSubstr("3x8x8"));
  }
}

}  // namespace
}  // namespace cachectl::model
