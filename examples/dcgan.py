"""A DCGAN that learns to draw the 8x8 digits that scikit-learn ships.

python dcgan.py              # with PyTorch
rushlight run dcgan.py       # with rushlight
"""

import argparse

import torch
import torch.nn as nn
import torch.optim as optim
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


def weights_init(module):
    name = module.__class__.__name__
    if name.find("Conv") != -1:
        nn.init.normal_(module.weight.data, 0.0, 0.02)
    elif name.find("BatchNorm") != -1:
        nn.init.normal_(module.weight.data, 1.0, 0.02)
        nn.init.constant_(module.bias.data, 0)


class Generator(nn.Module):
    def __init__(self, noise, width):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(noise, width * 2, 2, 1, 0, bias=False),
            nn.BatchNorm2d(width * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(width * 2, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, width * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width * 2, 1, 2, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.main(x).view(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--noise", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--lr", type=float, default=0.0004)
    parser.add_argument("--beta1", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=999)
    parser.add_argument("--save", help="where to keep the trained weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    loader = DataLoader(TensorDataset(images), batch_size=args.batch, shuffle=True, drop_last=True)

    generator = Generator(args.noise, args.width).to(device)
    generator.apply(weights_init)
    discriminator = Discriminator(args.width).to(device)
    discriminator.apply(weights_init)
    criterion = nn.BCELoss()
    betas = (args.beta1, 0.999)
    optimizer_d = optim.Adam(discriminator.parameters(), lr=args.lr, betas=betas)
    optimizer_g = optim.Adam(generator.parameters(), lr=args.lr, betas=betas)

    step = 0
    while step < args.steps:
        for (real,) in loader:
            # the discriminator: log(D(x)) + log(1 - D(G(z)))
            discriminator.zero_grad()
            real = real.to(device)
            label = torch.full((real.size(0),), 1.0, device=device)
            error_real = criterion(discriminator(real), label)
            error_real.backward()
            fake = generator(torch.randn(real.size(0), args.noise, 1, 1, device=device))
            label.fill_(0.0)
            error_fake = criterion(discriminator(fake.detach()), label)
            error_fake.backward()
            optimizer_d.step()
            # the generator: log(D(G(z)))
            generator.zero_grad()
            label.fill_(1.0)
            error_g = criterion(discriminator(fake), label)
            error_g.backward()
            optimizer_g.step()
            loss = error_real.item() + error_fake.item()
            print(f"step {step} loss {loss:.6f} generator {error_g.item():.6f}")
            step += 1
            if step == args.steps:
                break
    if args.save:
        torch.save(
            {"generator": generator.state_dict(), "discriminator": discriminator.state_dict()},
            args.save,
        )


if __name__ == "__main__":
    main()
