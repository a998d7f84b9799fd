"""A U-Net finds discs in noisy pictures.

python unet.py              # with PyTorch
rushlight run unet.py       # with rushlight
"""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Sequential):
    def __init__(self, before, after):
        super().__init__(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    def __init__(self, before, after, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                nn.Conv2d(before, after, 1),
            )
        else:
            self.up = nn.ConvTranspose2d(before, after, kernel_size=2, stride=2)
        self.conv = DoubleConv(2 * after, after)

    def forward(self, below, beside):
        below = self.up(below)
        dy = beside.size(2) - below.size(2)
        dx = beside.size(3) - below.size(3)
        below = F.pad(below, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([beside, below], dim=1))


class UNet(nn.Module):
    def __init__(self, width, bilinear):
        super().__init__()
        self.inc = DoubleConv(1, width)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(width, 2 * width))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(2 * width, 4 * width))
        self.up1 = Up(4 * width, 2 * width, bilinear)
        self.up2 = Up(2 * width, width, bilinear)
        self.outc = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        return self.outc(self.up2(self.up1(x3, x2), x1))


def pictures(count, size):
    """Discs somewhere, under noise, and the masks of what they cover."""
    rows = torch.arange(size).view(1, size, 1)
    columns = torch.arange(size).view(1, 1, size)
    middle = torch.rand(count, 2, 1, 1) * size
    radius = (0.15 + 0.2 * torch.rand(count, 1, 1)) * size
    distance = ((rows - middle[:, 0]) ** 2 + (columns - middle[:, 1]) ** 2).sqrt()
    masks = (distance < radius).float().unsqueeze(1)
    return masks + 0.5 * torch.randn(count, 1, size, size), masks


def dice_loss(logits, masks, epsilon=1.0):
    chance = torch.sigmoid(logits)
    both = (chance * masks).sum(dim=(1, 2, 3))
    all_ = chance.sum(dim=(1, 2, 3)) + masks.sum(dim=(1, 2, 3))
    return 1 - ((2 * both + epsilon) / (all_ + epsilon)).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=36)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--bilinear", action="store_true")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--save", help="where to keep the trained weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    model = UNet(args.width, args.bilinear).to(memory_format=torch.channels_last)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=args.lr, momentum=0.9, alpha=0.9)
    criterion = nn.BCEWithLogitsLoss()
    for step in range(args.steps):
        images, masks = pictures(args.batch, args.size)
        logits = model(images.to(memory_format=torch.channels_last))
        loss = criterion(logits, masks) + dice_loss(logits, masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"step {step} loss {loss.item():.6f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
