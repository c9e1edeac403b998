"""PH-Net: a dense periodic U-Net for parallelepiped cells of any base material."""
