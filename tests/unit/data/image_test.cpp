#include "data/image.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstdlib>

#include "files.h"
#include "image_fixtures.h"

namespace cachectl::data {
namespace {

using test::failure;
using test::ImageFixture;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::uint8_t> as_vector(const std::string& bytes) {
  return {bytes.begin(), bytes.end()};
}

class ImageDecoding : public testing::TestWithParam<ImageFixture> {};

TEST_P(ImageDecoding, GivesThePixelsThatAnIndependentReaderSees) {
  const ImageFixture& fixture = GetParam();
  const at::Tensor image = decode_image(as_vector(test::from_hex(fixture.hex)), fixture.name);
  ASSERT_EQ(image.scalar_type(), at::kByte);
  ASSERT_EQ(image.sizes().vec(), (std::vector<std::int64_t>{3, fixture.height, fixture.width}));
  const int tolerance = std::string(fixture.name).rfind("Jpeg", 0) == 0 ? 2 : 0;
  for (int y = 0; y < fixture.height; ++y) {
    for (int x = 0; x < fixture.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int expected = fixture.rgb[static_cast<std::size_t>((y * fixture.width + x) * 3 + c)];
        EXPECT_NEAR(image[c][y][x].item<int>(), expected, tolerance) << c << " " << y << " " << x;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ImageDecoding, testing::ValuesIn(test::image_fixtures()),
                         [](const auto& info) { return std::string(info.param.name); });

// Every prefix of a file, and every file with one byte changed, either reads as some image
// or is an error that names the file: never a crash, never a hang.
TEST_P(ImageDecoding, SurvivesCutsAndChangedBytes) {
  const std::string whole = test::from_hex(GetParam().hex);
  int refused = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string message =
        failure([&] { decode_image(as_vector(whole.substr(0, length)), "cut.img"); });
    if (!message.empty()) {
      EXPECT_THAT(message, StartsWith("4: cut.img: "));
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()) * 9 / 10);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string broken = whole;
      broken[at] = static_cast<char>(broken[at] ^ change);
      const std::string message = failure([&] { decode_image(as_vector(broken), "changed.img"); });
      EXPECT_THAT(message, AnyOf("", StartsWith("4: changed.img: ")));
    }
  }
}

TEST(Images, ReadBackWhatAWriterWrote) {
  const test::TempFolder folder;
  const at::Tensor image = read_image(folder.write("a.png", test::png_bytes(5, 4)));
  ASSERT_EQ(image.sizes().vec(), (std::vector<std::int64_t>{3, 4, 5}));
  for (int i = 0; i < 20; ++i) {
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(image[c][i / 5][i % 5].item<int>(), (3 * i + c) * 31 % 256);
    }
  }
}

TEST(Images, AreToldApartByContentNotByName) {
  const test::TempFolder folder;
  EXPECT_EQ(read_image(folder.write("really-a-png.jpg", test::png_bytes(3, 2))).size(1), 2);
}

TEST(Images, WithHugeHeadersAreRefusedBeforeMemoryIsTaken) {
  std::string png = test::png_bytes(3, 2);
  png[16] = png[20] = 0;
  png[17] = png[21] = 0;
  png[18] = png[22] = 0x70;  // 28672 x 28672, inside the sides' limit; the checksum is wrong too
  EXPECT_THAT(failure([&] { decode_image(as_vector(png), "huge.png"); }),
              StartsWith("4: huge.png: "));
  EXPECT_THAT(failure([] { image_detail::require_size(28672, 28672, "huge.png"); }),
              HasSubstr("an image of 28672x28672 pixels"));
  EXPECT_EQ(failure([] { image_detail::require_size(8192, 8192, "large.png"); }), "");
}

}  // namespace
}  // namespace cachectl::data
